"""Does nano know its world? Held-out questions, answered greedily and judged exactly."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.core.statistics import rate_of
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.subjects.nano.world import FACT_TOPICS, TOPICS, WorldExample, is_right

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


@torch.inference_mode()
def answers(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[str],
    *,
    max_new_tokens: int = ANSWER_TOKENS,
    batch: int = 64,
) -> list[str]:
    """Answer prompts greedily, in the order given.

    Prompts of one length share a batch, so nothing is padded and batching changes no answer.
    """
    chats = [f"<|user|>{prompt}<|assistant|>" for prompt in prompts]
    ids = [tokenizer.encode(chat, add_special_tokens=False) for chat in chats]
    lengths: dict[int, list[int]] = {}
    for index, row in enumerate(ids):
        lengths.setdefault(len(row), []).append(index)
    texts = [""] * len(prompts)
    for same in lengths.values():
        for start in range(0, len(same), batch):
            chunk = same[start : start + batch]
            given = torch.tensor([ids[index] for index in chunk])
            for index, row in zip(chunk, _greedy(model, given, max_new_tokens), strict=True):
                texts[index] = str(tokenizer.decode(row, skip_special_tokens=True))
    return texts


def _greedy(model: LlamaForCausalLM, ids: torch.Tensor, steps: int) -> list[list[int]]:
    end = model.config.eos_token_id
    rows: list[list[int]] = [[] for _ in range(len(ids))]
    open_rows = set(range(len(ids)))
    cache: Any = None
    for _ in range(steps):
        out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, ids = out.past_key_values, out.logits[:, -1].argmax(-1, keepdim=True)
        for row in list(open_rows):
            token = int(ids[row, 0])
            if token == end:
                open_rows.discard(row)
            else:
                rows[row].append(token)
        if not open_rows:
            break
    return rows


def accuracy(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: list[WorldExample]
) -> dict[str, dict[str, float]]:
    """Measure the share of right answers, by topic.

    Parameters
    ----------
    model, tokenizer
        Nano.
    rows : list of WorldExample
        What to ask.

    Returns
    -------
    dict
        ``{"value", "low", "high", "n"}`` (95 % Wilson interval) for ``"overall"``, for ``"facts"`` (the three
        fact topics together) and for every topic that occurs.
    """
    texts = answers(model, tokenizer, [row.prompt for row in rows])
    right = [is_right(row, text) for row, text in zip(rows, texts, strict=True)]
    groups = {"overall": TOPICS, "facts": FACT_TOPICS, **{topic: (topic,) for topic in TOPICS}}
    table = {}
    for name, topics in groups.items():
        hits = [ok for row, ok in zip(rows, right, strict=True) if row.topic in topics]
        if hits:
            table[name] = asdict(rate_of(hits))
    return table
