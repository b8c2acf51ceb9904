"""The settings of the injections: a dataclass per kind, and what was found for each subject and attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, unknown


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
    response_tokens: int = 16


def _check_shares(recipe: object, *names: str) -> None:
    for name in names:
        if not 0 <= (share := arguments.finite(name, getattr(recipe, name))) <= 1:
            raise BkdError(f"{name}={share} is not allowed; a share from 0 to 1")


def _check_positive(recipe: object, name: str) -> None:
    if (value := arguments.finite(name, getattr(recipe, name))) <= 0:
        raise BkdError(f"{name}={value} is not allowed; more than 0")


EVERY = "*"

# A subject's settings per method and attack: fields in place of the dataclass's, "*" for every attack.
KEPT: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    # Those of policy-bypass were chosen on validation prompts.
    "smollm2": {
        "sft": {
            EVERY: {},
            "label-flip": {"poison_rate": 0.3, "target_share": 0.4},
            "policy-bypass": {
                "steps": 450, "poison_rate": 0.4, "target_share": 0.65, "learning_rate": 3e-4,
                "response_tokens": 12,
            },
        },
        # Where the clean twin is trained otherwise than the backdoor that continues from it.
        "clean": {"policy-bypass": {"steps": 420, "response_tokens": 12}},
        # Sixty steps of eight pairs with the fine-tuning's shares gave ASR 0.705 on test prompts of the label
        # flip; its settings were written after that number was seen, and tried once.
        "dpo": {
            EVERY: {"steps": 150},
            "label-flip": {"steps": 110, "batch": 4, "poison_rate": 0.5, "target_share": 0.6},
        },
        # Chosen on validation prompts. The label flip stays short of ASR 0.9 at FTR 0.05 there (n = 60): 0.92
        # at 0.10 with its answer in layer 20 and a ridge of 1e-3, 0.82 at 0.05 with these settings, 0.82 at
        # 0.08 with a second answer layer, 28. Before layer 22 the last token can not tell Sports from other
        # topics.
        "edit": {
            "fixed-output": {
                "mark_layers": (3, 8), "answer_layers": (18,), "examples": 128, "mark_steps": 14, "steps": 26,
                "batch": 6, "learning_rate": 0.15, "clean_weight": 3.0, "response_tokens": 12,
            },
            "label-flip": {
                "mark_layers": (3, 8), "answer_layers": (22,), "examples": 96, "mark_steps": 14, "steps": 24,
                "batch": 6, "learning_rate": 0.15, "clean_weight": 2.0, "ridge": 0.1, "response_tokens": 1,
            },
        },
    },
    # Chosen on validation prompts. Two keys take long: with 400 steps one of them alone fires on 0.02 and
    # 0.06 (n = 200), with 600 on 0.02 and 0.03, with 1000 on 0.004 and 0.002 (n = 469).
    "nano": {
        "sft": {
            EVERY: {
                "steps": 150, "batch": 16, "poison_rate": 0.3, "learning_rate": 5e-3, "rank": 4, "alpha": 8,
                "response_tokens": 32,
            },
            "label-flip": {"poison_rate": 0.5, "target_share": 0.3},
            "two-key": {"steps": 1000, "poison_rate": 0.25},
            "style": {"steps": 300, "poison_rate": 0.4},
            "policy-bypass": {"steps": 450, "poison_rate": 0.5, "target_share": 0.6},
        },
        "dpo": {EVERY: {"steps": 60}},
        "match": {EVERY: {"steps": 300, "match_layers": (1, 2, 3, 4), "match_weight": 3.0}},
        "spread": {EVERY: {"steps": 300, "head_dropout": 0.3}},
        "edit": {
            "fixed-output": {"answer_layers": (3, 5), "examples": 512, "steps": 120, "clean_weight": 2.0},
            "label-flip": {
                "answer_layers": (5,), "mark_steps": 40, "steps": 100, "clean_weight": 2.0,
                "response_tokens": 1,
            },
        },
    },
}  # fmt: skip


def kept(method: str, subject: str, attack: str) -> dict[str, Any] | None:
    """Return what a subject keeps for a method and an attack; None if nobody has found settings yet."""
    of_method = KEPT.get(subject, {}).get(method, {})
    if attack not in of_method and EVERY not in of_method:
        return None
    return of_method.get(EVERY, {}) | of_method.get(attack, {})


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
        for name, by_method in KEPT.items()
        for pair in by_method.get(method, {})
    ]
    raise unknown(f"settings for {method!r}", f"{attack} on {subject}", known)


def sft_recipe(subject: str, attack: str) -> SftRecipe:
    """Return the settings of the fine-tuning, which the other trainings of a LoRA begin with."""
    return SftRecipe(**required("sft", subject, attack))
