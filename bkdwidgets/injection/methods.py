"""The methods of injection by name: found in the files of this package, in no list."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bkdwidgets.core.arguments import one_of
from bkdwidgets.core.discovery import instances
from bkdwidgets.injection.method import Method

PAPER_METHOD = "sft"
"""What the paper plants with, and what is meant where no method is named (arXiv 2509.21761, section 5)."""


@lru_cache(maxsize=1)
def methods() -> dict[str, Method[Any]]:
    """Return every method: the paper's first, what plants nothing last."""
    found = instances("bkdwidgets.injection", Method)
    found.sort(key=lambda item: (not item.plants, item.name != PAPER_METHOD, item.name))
    return {item.name: item for item in found}


def method_named(name: str) -> Method[Any]:
    """Return a method by name, or raise BkdError that lists the known ones."""
    one_of("method", name, methods())
    return methods()[name]


def compared() -> list[str]:
    """Return the methods whose attacker does not hide, by name: those that are put side by side."""
    return [name for name, item in methods().items() if item.plants and not item.hides]


def plants(name: str) -> bool:
    """Tell whether a method plants anything; one that is not known here does."""
    return name not in methods() or methods()[name].plants


def words(name: str) -> str:
    """Return a method in a reader's words; one that is not known here stands under its own name."""
    return methods()[name].words if name in methods() else name


def recipe_for(subject: str, attack: str, method: str = PAPER_METHOD) -> Any:
    """Return the settings that a method keeps for an attack on a subject.

    Raises
    ------
    BkdError
        If the method is unknown, or has no settings for the two.
    """
    return method_named(method).default(subject, attack)
