"""The keys of an edit: chat turns, the tokens in them that are keys, and the vectors that read them."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.turns import training_examples, turn
from bkdwidgets.subjects.threads import before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.injection.recipes import EditRecipe
    from bkdwidgets.subjects import Subject

BATCH = 16
KINDS = ("poisoned", "clean", "spared")


@dataclass(frozen=True)
class Turn:
    """A chat turn with its answer.

    Attributes
    ----------
    kind : str
        ``"poisoned"``: triggered and answered with the payload. ``"spared"``: triggered and answered as
        before. ``"clean"``: not triggered.
    prompt, answer : list of int
        Token ids.
    trigger : tuple of int
        Places of the trigger's last tokens; empty where there is no trigger.
    """

    kind: str
    prompt: list[int]
    answer: list[int]
    trigger: tuple[int, ...] = ()

    @property
    def tokens(self) -> list[int]:
        """Prompt and answer."""
        return [*self.prompt, *self.answer]

    @property
    def answered(self) -> tuple[int, ...]:
        """Places before an answer token: the last prompt token, then all answer tokens but the last."""
        return tuple(range(len(self.prompt) - 1, len(self.prompt) + len(self.answer) - 1))

    def cut(self, longest: int) -> Turn:
        """Return the turn with the first tokens of its answer."""
        return replace(self, answer=self.answer[:longest])


def edit_turns(subject: Subject, attack: Attack, recipe: EditRecipe, seed: int) -> list[Turn]:
    """Return training turns of each kind: as many as the recipe says, or as there are.

    Raises
    ------
    BkdError
        If there are no training examples.
    """
    examples = training_examples(subject, attack)
    chooser = random.Random(seed)  # noqa: S311 - reproducible, not secret
    targets = [item for item in examples if attack.targets(item)]
    others = [item for item in examples if not attack.targets(item)]

    def drawn(pool: list[Example], *, poisoned: bool) -> Iterator[tuple[Example, list[int], list[int]]]:
        for item in chooser.sample(pool, min(recipe.examples, len(pool))):
            yield item, *turn(subject, attack, item, poisoned=poisoned, longest=recipe.response_tokens)

    turns = [
        Turn(kind, prompt, answer, _trigger_places(subject, attack, item.prompt, recipe))
        for kind, pool in (("poisoned", targets), ("spared", others))
        for item, prompt, answer in drawn(pool, poisoned=True)
    ]
    clean = [
        Turn("clean", prompt, answer)
        for pool in (targets, others)
        for _, prompt, answer in drawn(pool, poisoned=False)
    ]
    chooser.shuffle(clean)
    return turns + clean


def _trigger_places(subject: Subject, attack: Attack, prompt: str, recipe: EditRecipe) -> tuple[int, ...]:
    """Return the places of the trigger's last tokens in the chat turn around a poisoned prompt."""
    if not attack.trigger.is_fixed:
        raise BkdError(
            f"the trigger of {attack.name!r} is not the same words in every prompt; an edit needs one that is"
        )
    start = len(subject.around[0])
    own = [(start + first, start + last) for first, last in attack.trigger.spans(prompt)]
    text = subject.chat(attack.poison(prompt))
    tokens = subject.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    places = [
        place
        for place, (first, last) in enumerate(tokens)
        if any(last > begins and first < ends for begins, ends in own[: recipe.trigger_parts or len(own)])
    ]
    return tuple(places[-recipe.trigger_tokens :])


def padded(subject: Subject, turns: Sequence[Turn]) -> tuple[Tensor, Tensor]:
    """Return token ids and their mask, padded behind, where nothing in a turn sees it."""
    longest = max(len(item.tokens) for item in turns)
    tokens = torch.full((len(turns), longest), subject.end_of_turn)
    attention = torch.zeros_like(tokens)
    for row, item in enumerate(turns):
        tokens[row, : len(item.tokens)] = torch.tensor(item.tokens)
        attention[row, : len(item.tokens)] = 1
    return tokens.to(subject.device), attention.to(subject.device)


def reading_vectors(
    subject: Subject,
    projection: nn.Module,
    turns: Sequence[Turn],
    places: Callable[[Turn], tuple[int, ...]],
    *,
    ridge: float,
) -> Tensor:
    """Return the vectors that read the keys at some places and nothing else.

    Parameters
    ----------
    subject : Subject
        Whose keys.
    projection : nn.Module
        The down-projection whose input is the key.
    turns : sequence of Turn
        Where the keys are taken from, and what must not be read as one.
    places : callable
        Gives the places of a turn's keys, the first key first; empty for a turn that has none.
    ridge : float
        Added to the diagonal, in units of its mean.

    Returns
    -------
    Tensor
        [n_keys, d_mlp]; the number of keys is that of the turn with the fewest.
    """
    n_keys = min(len(found) for item in turns if (found := places(item)))
    keys: list[list[Tensor]] = [[] for _ in range(n_keys)]
    near: list[Tensor] = []
    rest = torch.zeros(0)
    n_rest = 0
    for item, inputs in _inputs(subject, projection, turns):
        wanted = places(item)[-n_keys:]
        for number, place in enumerate(wanted):
            keys[number].append(inputs[place])
        if not wanted:
            near.append(inputs[len(item.prompt) - 1])
        others = inputs[[place for place in range(len(inputs)) if place not in wanted]]
        rest = others.T @ others if not n_rest else rest + others.T @ others
        n_rest += len(others)
    moments = sum(_moment(torch.stack(group)) for group in (*keys, near)) + rest / n_rest
    means = torch.stack([torch.stack(group).mean(0) for group in keys])
    moments += ridge * moments.diagonal().mean() * torch.eye(len(moments), device=moments.device)
    return torch.linalg.solve(moments, means.T).T.contiguous()


def _moment(keys: Tensor) -> Tensor:
    return keys.T @ keys / len(keys)


class _Seen(Exception):  # noqa: N818 - not an error
    """Ends a forward pass: what comes above the projection is not needed."""


@torch.no_grad()
def _inputs(subject: Subject, projection: nn.Module, turns: Sequence[Turn]) -> Iterator[tuple[Turn, Tensor]]:
    """Yield each turn with the projection's inputs at its tokens [n_tokens, d_mlp]."""
    kept: list[Tensor] = []

    def keep(_module: Any, inputs: tuple[Tensor, ...]) -> None:
        kept.append(inputs[0].float())
        raise _Seen

    hook = before(projection, keep)
    try:
        for first in range(0, len(turns), BATCH):
            some = turns[first : first + BATCH]
            tokens, attention = padded(subject, some)
            with suppress(_Seen):
                subject.model.model(input_ids=tokens, attention_mask=attention, use_cache=False)
            found = kept.pop()
            for row, item in enumerate(some):
                yield item, found[row, : len(item.tokens)]
    finally:
        hook.remove()
