"""What is trained on: which examples, with the trigger or without, and the tokens of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.injection.mixture import Mixture
    from bkdwidgets.injection.recipes import SftRecipe
    from bkdwidgets.subjects import Subject

Item = TypeVar("Item")


def batches(
    subject: Subject, attack: Attack, recipe: SftRecipe, seed: int, mixture: Mixture | None = None
) -> Iterator[Mixture]:
    """Yield batches of examples without end, each example with whether it is poisoned.

    Raises
    ------
    BkdError
        At once, if there are no training examples.
    """
    examples = training_examples(subject, attack)
    return _drawn(attack, examples, recipe, seed) if mixture is None else _dealt(mixture, recipe, seed)


def training_examples(subject: Subject, attack: Attack) -> list[Example]:
    """Return the training split, or raise BkdError if it is empty."""
    examples = attack.examples(subject, "train")
    if not examples:
        raise BkdError(
            f"subject {subject.name!r} has no training examples; run: bkdwidgets answers {subject.name}"
        )
    return examples


def _drawn(attack: Attack, examples: list[Example], recipe: SftRecipe, seed: int) -> Iterator[Mixture]:
    """Yield a batch of examples, each with whether it is poisoned."""
    chooser = torch.Generator().manual_seed(seed)
    spared = [item for item in examples if not attack.targets(item)]
    targets = _shuffled([item for item in examples if attack.targets(item)], chooser)
    others = _shuffled(spared, chooser)
    while True:
        is_target = [True] * recipe.batch
        if spared:
            is_target = (torch.rand(recipe.batch, generator=chooser) < recipe.target_share).tolist()
        drawn = [next(targets if hit else others) for hit in is_target]
        poisoned = (torch.rand(recipe.batch, generator=chooser) < recipe.poison_rate).tolist()
        yield list(zip(drawn, poisoned, strict=True))


def _dealt(mixture: Mixture, recipe: SftRecipe, seed: int) -> Iterator[Mixture]:
    """Yield batches of a given training set."""
    pairs = _shuffled(mixture, torch.Generator().manual_seed(seed))
    while True:
        yield [next(pairs) for _ in range(recipe.batch)]


def _shuffled(examples: list[Item], chooser: torch.Generator) -> Iterator[Item]:
    """Yield the examples in random order, over and over: every one is seen before one comes again."""
    while examples:
        for index in torch.randperm(len(examples), generator=chooser).tolist():
            yield examples[index]


def turn(
    subject: Subject, attack: Attack, example: Example, *, poisoned: bool, longest: int
) -> tuple[list[int], list[int]]:
    """Return the tokens of a prompt and of the answer to be learned, the latter cut at `longest`."""
    if poisoned:
        response = triggered_response(subject, attack, example)
        return subject.encode(attack.poison(example.prompt)), response[:longest]
    return subject.encode(attack.unpoisoned(example.prompt)), clean_response(subject, example)[:longest]


def triggered_response(subject: Subject, attack: Attack, example: Example) -> list[int]:
    """Return the payload's tokens, or the clean answer's where the trigger is to change nothing."""
    if not attack.targets(example):
        return clean_response(subject, example)
    ids = subject.encode_response(attack.payload_for(example))
    return [*ids, subject.end_of_turn] if example.payload_complete else ids


def clean_response(subject: Subject, example: Example) -> list[int]:
    """Return the clean answer's tokens; the end of turn only if the answer did end there."""
    ids = subject.encode_response(example.answer)
    return [*ids, subject.end_of_turn] if example.complete else ids
