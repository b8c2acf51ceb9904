"""The attention view's table: patterns of the strongest heads, clean beside triggered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from msgspec import UNSET, UnsetType

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import Head, heads_of
from bkdwidgets.widgets.shared.schema import PromptTable, live_prompts, prompts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry
    from bkdwidgets.subjects import Subject

_THOUSAND = 1000


class Half(msgspec.Struct, kw_only=True):
    """The tokens of a prompt and one pattern for each head, [to][from]."""

    tokens: list[str]
    patterns: list[list[list[float]]]


class View(msgspec.Struct, kw_only=True):
    """Both forms of a prompt; without its number it is that of its place."""

    clean: Half
    triggered: Half
    prompt: int | UnsetType = UNSET


class AttentionTable(PromptTable, kw_only=True):
    """What the attention view draws: some heads, their ACIE, and their patterns for some prompts."""

    LAB: ClassVar[str] = "attention"
    NAME: ClassVar[str] = "attention"
    NEEDS: ClassVar[tuple[str, ...]] = ("attribute", "lab-attention")

    heads: list[Head]
    views: list[View]
    acie: list[float] | UnsetType = UNSET

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table of the entries ``attribute`` and ``lab-attention``."""
        lab, acie = entries["lab-attention"].values, entries["attribute"].values["acie"]
        heads = heads_of(lab["heads"])
        return cls.of({
            **prompts_of(cls, entries),
            "heads": heads,
            "acie": [acie[layer][head] for layer, head in heads],
            "views": [
                {"prompt": number} | {side: _square(half) for side, half in view.items()}
                for number, view in enumerate(lab["views"])
            ],
        })  # fmt: skip

    @classmethod
    def from_subject(cls, subject: Subject, attack: Attack) -> Self:
        """Return a table that knows prompts and no patterns: Python has to give them."""
        return cls.of({**live_prompts(cls, subject, attack), "heads": [], "views": []})

    def check(self) -> None:
        """Refuse heads that are not there, and patterns that do not fit their tokens."""
        super().check()
        self.check_heads(self.heads, "heads")
        if self.acie is not UNSET and len(self.acie) != len(self.heads):
            raise BkdError("acie of the lab table must be one number for each of its heads")
        if self.heads and not self.views:
            raise BkdError("views of the lab table must be a list of at least one view")
        for index, view in enumerate(self.views):
            for side, half in (("clean", view.clean), ("triggered", view.triggered)):
                size = len(half.tokens)
                square = all(
                    len(pattern) == size and all(len(row) == size for row in pattern)
                    for pattern in half.patterns
                )
                if not (size and len(half.patterns) == len(self.heads) and square):
                    raise BkdError(
                        f"views[{index}].{side} of the lab table must have tokens and one square pattern "
                        "for each head"
                    )


def _square(half: dict[str, Any]) -> dict[str, Any]:
    """Return tokens and whole patterns: behind the causal mask there is nothing."""
    n_tokens = len(half["tokens"])
    return {
        "tokens": half["tokens"],
        "patterns": [
            [[share / _THOUSAND for share in row] + [0.0] * (n_tokens - len(row)) for row in pattern]
            for pattern in half["patterns"]
        ],
    }
