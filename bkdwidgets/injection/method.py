"""What a method of injection is: its words, its settings, and how it is run.

Each file of this package that plants something ends in its :class:`Method` (or in several);
:func:`bkdwidgets.injection.methods.methods` finds them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Planted = tuple[dict[str, "Tensor"], dict[str, Any]]
"""Tensors of an adapter file, and a log of plain values with at least ``seconds`` and ``threads``."""

R = TypeVar("R")


def lora_scale(recipe: Any) -> float:
    """Return the factor of a LoRA's product: alpha / rank."""
    return float(recipe.alpha / recipe.rank)


def unchanged(recipe: R) -> R:
    """Return the settings as they are given."""
    return recipe


@dataclass(frozen=True)
class Method(Generic[R]):
    """A way to plant a backdoor.

    Attributes
    ----------
    name : str
        What users type, and a part of the adapter's name.
    words : str
        What people call it.
    recipe : type
        Dataclass of its settings.
    default : callable
        Names of subject and attack -> the settings kept for them, or BkdError if there are none.
    train : callable
        ``train(subject, attack, *, recipe, seed, start, progress)`` -> tensors of the adapter and its log;
        `start` is the adapter that taught the subject the attack's task, or None. With `mixes`, ``mixture``
        is one more keyword.
    scale : callable
        Settings -> the adapter's scale; that of a LoRA if not given.
    adjust : callable
        Settings as given -> as they are used.
    plants : bool
        False: the clean twin, which teaches the task and plants nothing. What plants starts from that twin
        where a subject has to be taught the task.
    onto : bool
        The tensors do not contain the adapter they started from: it is merged in below them.
    mixes : bool
        It can be trained on a given mixture of clean and poisoned examples.
    hides : bool
        Its attacker hides from the tools; such methods are not among those that are compared.
    """

    name: str
    words: str
    recipe: type[R]
    default: Callable[[str, str], R]
    train: Callable[..., Planted]
    scale: Callable[[R], float] = lora_scale
    adjust: Callable[[R], R] = unchanged
    plants: bool = True
    onto: bool = False
    mixes: bool = False
    hides: bool = False
