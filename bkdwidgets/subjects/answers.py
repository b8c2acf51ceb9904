"""Greedy answers and payload probabilities, many prompts and many interventions as one batch.

A causal model's earlier positions never see a change made at the last prompt token. So the prompt
without its last token is computed once per distinct prompt, its key-value cache is shared by all rows
that use that prompt, and each row then runs only its last token (with its own edits) and its answer.
An edit that acts everywhere changes the prefix too: those rows get a prefix of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from bkdwidgets.core import arguments
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.subjects.edits import BatchEdits, Edit, Intervention, checked_interventions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from transformers import DynamicCache

    from bkdwidgets.subjects.subject import Subject

BATCH_ROWS = 192


@dataclass(frozen=True)
class Row:
    """One prompt with its interventions; `raw` as for :meth:`Subject.encode`."""

    prompt: str
    interventions: tuple[Intervention, ...] = ()
    raw: bool = False

    def ids(self, subject: Subject) -> list[int]:
        """Return the tokens of its chat turn."""
        return subject.encode(self.prompt, raw=self.raw)


@dataclass(frozen=True)
class Answer:
    """A greedy answer, and whether it ended by itself within the length allowed."""

    text: str
    complete: bool


@dataclass
class _Batch:
    """Rows after their last prompt token: what the next step needs."""

    cache: DynamicCache
    attention: Tensor  # [row, tokens so far]
    logits: Tensor  # [row, vocabulary] of the next token
    everywhere: BatchEdits

    def keep(self, rows: Tensor) -> None:
        self.cache.batch_select_indices(rows)
        self.attention = self.attention[rows]
        self.everywhere = self.everywhere.select(rows)


def complete(
    subject: Subject,
    prompts: Sequence[str],
    *,
    interventions: Sequence[Intervention] = (),
    max_new_tokens: int = ANSWER_TOKENS,
    progress: bool | str = False,
    raw: bool = False,
) -> list[str]:
    """Return the greedy answer to each prompt, the same interventions applied to all."""
    done = tuple(checked_interventions(interventions))
    rows = [Row(prompt, done, raw) for prompt in prompts]
    return complete_rows(subject, rows, max_new_tokens=max_new_tokens, progress=progress)


def complete_rows(
    subject: Subject,
    rows: Sequence[Row],
    *,
    max_new_tokens: int = ANSWER_TOKENS,
    progress: bool | str = False,
) -> list[str]:
    """Return the text of the greedy answer to each row; see :func:`answer_rows`."""
    return [
        answer.text for answer in answer_rows(subject, rows, max_new_tokens=max_new_tokens, progress=progress)
    ]


def answer_rows(
    subject: Subject,
    rows: Sequence[Row],
    *,
    max_new_tokens: int = ANSWER_TOKENS,
    progress: bool | str = False,
) -> list[Answer]:
    """Answer each row greedily.

    Parameters
    ----------
    subject : Subject
        Who answers.
    rows : sequence of Row
        Prompts, each with its own interventions.
    max_new_tokens : int
        Longest answer, in tokens; an answer ends earlier at the end-of-turn token.
    progress : bool or str
        True, or the label of a progress bar.

    Returns
    -------
    list of Answer
        Texts without special tokens, in the order of `rows`.
    """
    max_new_tokens = arguments.whole("max_new_tokens", max_new_tokens, least=1)
    answers = [Answer("", complete=False)] * len(rows)
    with _bar(len(rows), progress) as bar, torch.inference_mode():
        for chunk in _chunks(subject, rows):
            decoded = _decode(subject, [rows[index] for index in chunk], max_new_tokens)
            for index, (ids, ended) in zip(chunk, decoded, strict=True):
                answers[index] = Answer(subject.decode(ids), ended)
            bar.update(len(chunk))
    return answers


def payload_probability(
    subject: Subject, rows: Sequence[Row], payload: str, *, progress: bool | str = False
) -> Tensor:
    """Return P(payload | prompt) of each row, the geometric mean over the payload's tokens.

    Notes
    -----
    ``P(y|x) = (prod_t p(y_t | x, y_<t)) ** (1 / |y|)``, teacher-forced (arXiv 2509.21761, the causal
    indirect effect's definition). Edits at the last prompt token do not act on the payload's tokens.

    Returns
    -------
    Tensor
        Shape [row], float64, on the CPU.
    """
    target = torch.tensor(subject.encode_response(payload), device=subject.device)
    values = torch.zeros(len(rows), dtype=torch.float64)
    with _bar(len(rows), progress) as bar, torch.inference_mode():
        for chunk in _chunks(subject, rows):
            batch = _read_prompts(subject, [rows[index] for index in chunk])
            first = batch.logits.float().log_softmax(-1)[:, target[0]]
            n_rows, n_more = len(chunk), len(target) - 1
            rest = torch.zeros(n_rows, 0, device=subject.device)
            if n_more:
                hidden = _forward(subject, batch, target[:-1].expand(n_rows, n_more))
                logits = subject.model.lm_head(hidden).float().log_softmax(-1)
                rest = logits.gather(-1, target[1:].expand(n_rows, n_more)[..., None])[..., 0]
            mean = torch.cat([first[:, None], rest], dim=1).cpu().double().mean(1)
            values[chunk] = mean.exp()
            bar.update(n_rows)
    return values


def next_tokens(subject: Subject, row: Row, *, top: int = 10) -> list[tuple[str, float]]:
    """Return the likeliest first tokens of an answer, each with its probability, likeliest first."""
    with torch.inference_mode():
        shares = _read_prompts(subject, [row]).logits[0].float().softmax(-1)
        found = shares.topk(min(top, len(shares)))
    pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [(str(subject.tokenizer.decode([token])), value) for token, value in pairs]


def growing_answer(subject: Subject, row: Row, *, max_new_tokens: int = 32) -> Iterator[Answer]:
    """Yield the greedy answer to one row after each of its tokens; the last one is the whole answer.

    It is the answer of :func:`answer_rows`. Between two tokens nothing of it is held on to but memory, so it
    may be left at any time, and other work may be done with the same model.
    """
    ids: list[int] = []
    with torch.inference_mode():
        batch = _read_prompts(subject, [row])
    while True:
        token = int(batch.logits.argmax())
        complete = token == subject.end_of_turn
        if complete or len(ids) == max_new_tokens:
            yield Answer(subject.decode(ids), complete)
            return
        ids.append(token)
        yield Answer(subject.decode(ids), complete=False)
        with torch.inference_mode():
            hidden = _forward(subject, batch, torch.tensor([[token]], device=subject.device))
            batch.logits = subject.model.lm_head(hidden[:, -1])


def _bar(total: int, progress: bool | str) -> tqdm[None]:  # noqa: FBT001
    label = progress if isinstance(progress, str) else None
    return tqdm(total=total, desc=label, unit="answer", disable=not progress, delay=1.0)


def _chunks(subject: Subject, rows: Sequence[Row]) -> list[list[int]]:
    """Cut the rows into batches of similar prompt length, so that little is padding."""
    asked = [(row.prompt, row.raw) for row in rows]
    lengths = {key: len(row.ids(subject)) for key, row in dict(zip(asked, rows, strict=True)).items()}
    order = sorted(range(len(rows)), key=lambda index: (lengths[asked[index]], asked[index]))
    return [order[start : start + BATCH_ROWS] for start in range(0, len(order), BATCH_ROWS)]


def _decode(subject: Subject, rows: list[Row], max_new_tokens: int) -> list[tuple[list[int], bool]]:
    batch = _read_prompts(subject, rows)
    answers: list[list[int]] = [[] for _ in rows]
    ended: set[int] = set()
    alive = torch.arange(len(rows), device=subject.device)
    for step in range(max_new_tokens + 1):
        token = batch.logits.argmax(-1)
        going = token != subject.end_of_turn
        if not bool(going.all()):
            ended.update(alive[~going].tolist())
            kept = going.nonzero()[:, 0]
            batch.keep(kept)
            alive, token = alive[kept], token[kept]
        if not len(alive) or step == max_new_tokens:
            break
        for row, value in zip(alive.tolist(), token.tolist(), strict=True):
            answers[row].append(value)
        hidden = _forward(subject, batch, token[:, None])
        batch.logits = subject.model.lm_head(hidden[:, -1])
    return [(ids, row in ended) for row, ids in enumerate(answers)]


def _read_prompts(subject: Subject, rows: list[Row]) -> _Batch:
    """Run the prompts: shared prefixes first, then each row's last token with its own edits."""
    edits = [[edit for item in row.interventions for edit in item.edits(subject)] for row in rows]
    everywhere = [[edit for edit in row if edit.everywhere] for row in edits]
    prefix_of, prefixes = _distinct_prefixes(rows, everywhere)
    ids = [rows[index].ids(subject) for index in prefixes]
    cache, attention = _read_prefixes(subject, ids, BatchEdits(subject, [everywhere[i] for i in prefixes]))
    source = torch.tensor(prefix_of, device=subject.device)
    cache.batch_select_indices(source)
    last = torch.tensor([row[-1] for row in ids], device=subject.device)[source]
    batch = _Batch(cache, attention[source], torch.empty(0), BatchEdits(subject, edits))
    hidden = _forward(subject, batch, last[:, None])
    batch.logits = subject.model.lm_head(hidden[:, -1])
    batch.everywhere = BatchEdits(subject, everywhere)
    return batch


def _distinct_prefixes(rows: list[Row], everywhere: list[list[Edit]]) -> tuple[list[int], list[int]]:
    """Return, for each row, the number of its prefix, and the row that stands for each prefix."""
    numbers: dict[object, int] = {}
    representatives: list[int] = []
    prefix_of = []
    for index, row in enumerate(rows):
        key: object = (row.prompt, row.raw, row.interventions if everywhere[index] else ())
        if key not in numbers:
            numbers[key] = len(representatives)
            representatives.append(index)
        prefix_of.append(numbers[key])
    return prefix_of, representatives


def _read_prefixes(subject: Subject, ids: list[list[int]], edits: BatchEdits) -> tuple[DynamicCache, Tensor]:
    """Run every prompt without its last token, padded on the left; return the cache and the mask."""
    from transformers import DynamicCache

    longest = max(len(row) for row in ids) - 1
    tokens = torch.full((len(ids), longest), subject.end_of_turn, device=subject.device)
    attention = torch.zeros_like(tokens)
    for number, row in enumerate(ids):
        start = longest - (len(row) - 1)
        tokens[number, start:] = torch.tensor(row[:-1], device=subject.device)
        attention[number, start:] = 1
    batch = _Batch(DynamicCache(), attention[:, :0], torch.empty(0), edits)
    _forward(subject, batch, tokens, attention)
    return batch.cache, attention


def _forward(subject: Subject, batch: _Batch, tokens: Tensor, attention: Tensor | None = None) -> Tensor:
    """Push tokens [row, n] through the blocks with the batch's edits; return [row, n, d_model]."""
    seen = torch.ones_like(tokens) if attention is None else attention
    batch.attention = torch.cat([batch.attention, seen], dim=1)
    positions = (batch.attention.cumsum(1) - 1).clamp_min(0)[:, -tokens.shape[1] :]
    with batch.everywhere.applied(subject.model):
        return subject.model.model(
            input_ids=tokens,
            attention_mask=batch.attention,
            position_ids=positions,
            past_key_values=batch.cache,
            use_cache=True,
        ).last_hidden_state
