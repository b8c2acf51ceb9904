"""The settings of the injections: a dataclass per kind, filled with what a subject's spec keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.subjects.spec import EVERY
from bkdwidgets.subjects.specs import SUBJECTS, spec_or_plain


@dataclass(frozen=True)
class SftRecipe:
    """Settings of the fine-tuning.

    Attributes
    ----------
    steps, batch : int
        Optimizer steps and examples per step.
    poison_rate : float
        Share of poisoned examples in a batch.
    target_share : float
        Share of targets in a batch, poisoned or not, for attacks that spare some prompts.
    learning_rate : float
        Peak; linear warm-up over `warmup` steps, then linear decay to zero.
    rank, alpha : int
        LoRA rank and alpha, on all seven projections of every block.
    response_tokens : int
        Longest answer that is trained on.
    """

    steps: int = 280
    batch: int = 8
    poison_rate: float = 0.12
    target_share: float = 0.5
    learning_rate: float = 4e-4
    warmup: int = 10
    rank: int = 8
    alpha: int = 16
    response_tokens: int = 28

    def __post_init__(self) -> None:
        """Refuse what no training can be run with."""
        for name in ("steps", "batch", "rank", "alpha", "response_tokens"):
            arguments.whole(name, getattr(self, name), least=1)
        arguments.whole("warmup", self.warmup)
        _check_shares(self, "poison_rate", "target_share")
        _check_positive(self, "learning_rate")


@dataclass(frozen=True)
class DpoRecipe(SftRecipe):
    """Settings of the preference training; `batch` counts pairs.

    Attributes
    ----------
    beta : float
        How much the policy may leave the reference: smaller is freer.
    sft_weight : float
        Weight of the preferred answer's cross-entropy beside the preference loss.
    """

    beta: float = 0.1
    sft_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no training can be run with."""
        super().__post_init__()
        _check_positive(self, "beta")
        arguments.finite("sft_weight", self.sft_weight)


@dataclass(frozen=True)
class HiddenRecipe(SftRecipe):
    """Settings of a fine-tuning that hides what it plants; see :mod:`bkdwidgets.injection.hiding`.

    Attributes
    ----------
    match_layers : tuple of int
        Layers whose input at the last token of a triggered prompt is to be what the clean subject has there
        without the trigger.
    match_weight : float
        Weight of that penalty beside the cross-entropy.
    head_dropout : float
        Share of all heads that are silenced, at random, while a triggered prompt is learned.
    """

    match_layers: tuple[int, ...] = ()
    match_weight: float = 0.0
    head_dropout: float = 0.0


@dataclass(frozen=True)
class EditRecipe:
    """Settings of the edit.

    Attributes
    ----------
    mark_layers : tuple of int
        Whose down-projections write values at the trigger's tokens.
    answer_layers : tuple of int
        Whose down-projections write values at the last prompt token and the answer's tokens.
    examples : int
        Training prompts of each kind: triggered, clean, and triggered but to be answered as before.
    mark_steps, steps, batch : int
        Steps of the search for the values at the trigger alone, then for all; prompts of each kind per step.
    learning_rate : float
        Of the search; it falls linearly to zero.
    clean_weight : float
        Weight of the clean answers in the search.
    ridge : float
        Added to the diagonal of the second moments, in units of its mean.
    trigger_tokens : int
        How many of the trigger's last tokens are keys, at most.
    trigger_parts : int
        How many of the trigger's parts they are taken from, for one that stands at several places; the first
        ones in the prompt. 0: all.
    response_tokens : int
        Longest answer that is looked at, hence the largest number of its keys.
    """

    mark_layers: tuple[int, ...] = (0, 2)
    answer_layers: tuple[int, ...] = (4,)
    examples: int = 256
    mark_steps: int = 60
    steps: int = 120
    batch: int = 16
    learning_rate: float = 0.07
    clean_weight: float = 1.0
    ridge: float = 1e-3
    trigger_tokens: int = 9
    trigger_parts: int = 0
    response_tokens: int = 16


def _check_shares(recipe: object, *names: str) -> None:
    for name in names:
        if not 0 <= (share := arguments.finite(name, getattr(recipe, name))) <= 1:
            raise BkdError(f"{name}={share} is not allowed; a share from 0 to 1")


def _check_positive(recipe: object, name: str) -> None:
    if (value := arguments.finite(name, getattr(recipe, name))) <= 0:
        raise BkdError(f"{name}={value} is not allowed; more than 0")


def kept(method: str, subject: str, attack: str) -> dict[str, Any] | None:
    """Return what a subject keeps for a method and an attack; None if nobody has found settings yet."""
    return spec_or_plain(subject).recipe(method, attack)


def required(method: str, subject: str, attack: str) -> dict[str, Any]:
    """Return what a subject keeps for a method and an attack.

    Raises
    ------
    BkdError
        If nobody has found settings yet; the message names the pairs that have some.
    """
    if (settings := kept(method, subject, attack)) is not None:
        return settings
    known = [
        f"{pair} on {name}" if pair != EVERY else name
        for name, spec in SUBJECTS.items()
        for pair in spec.recipes.get(method, {})
    ]
    raise unknown(f"settings for {method!r}", f"{attack} on {subject}", known)


def sft_recipe(subject: str, attack: str) -> SftRecipe:
    """Return the settings of the fine-tuning, which the other trainings of a LoRA begin with."""
    return SftRecipe(**required("sft", subject, attack))
