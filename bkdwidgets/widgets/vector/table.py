"""The vector lab's table: three vectors, layer by scale, completions, rates and payload probability."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from msgspec import UNSET, UnsetType

from bkdwidgets.analysis.vector import KINDS
from bkdwidgets.core.errors import unknown
from bkdwidgets.core.heads import Head, heads_of
from bkdwidgets.widgets.shared.schema import (
    Answers,
    Letter,
    PromptTable,
    Rate,
    Side,
    answers_of,
    check_values,
    live_prompts,
    prompts_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry
    from bkdwidgets.subjects import Subject

SCALES = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
HEADS = 32
"""Scales of a live lab, and heads its vector sums over."""

_RATES = ("asr", "as_before", "outcomes")


class Rates(msgspec.Struct, kw_only=True):
    """What was measured over all prompts of each side."""

    asr_clean: Rate | UnsetType = UNSET
    as_before_clean: Rate | UnsetType = UNSET
    outcomes_clean: dict[Letter, int] | UnsetType = UNSET
    asr_triggered: Rate | UnsetType = UNSET
    as_before_triggered: Rate | UnsetType = UNSET
    outcomes_triggered: dict[Letter, int] | UnsetType = UNSET


class Cell(Answers, kw_only=True):
    """The answers with a vector added `scale` times at a layer."""

    vector: str
    layer: int
    scale: float
    rates: Rates | UnsetType = UNSET


class VectorTable(PromptTable, kw_only=True):
    """What the vector lab answers from.

    ``probability`` is the payload's mean probability by vector and side, [layer][scale], over
    ``probability_n`` prompts; ``heads`` (or the ``k`` strongest) are those that the vector sums over.
    """

    LAB: ClassVar[str] = "vector"
    NAME: ClassVar[str] = "vector"
    NEEDS: ClassVar[tuple[str, ...]] = ("attribute", "lab-vector")

    texts: list[str]
    vectors: list[str]
    layers: list[int]
    scales: list[float]
    cells: list[Cell]
    norms: dict[str, float] | UnsetType = UNSET
    k: int | UnsetType = UNSET
    heads: list[Head] | UnsetType = UNSET
    probability: dict[str, dict[Side, list[list[float | None]]]] | UnsetType = UNSET
    probability_n: int | UnsetType = UNSET

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table of the entry ``lab-vector``; ``attribute`` knows the model's shape."""
        lab = entries["lab-vector"].values
        vectors = list(lab["norms"])
        return cls.of({
            **prompts_of(cls, entries),
            "vectors": vectors,
            "norms": lab["norms"],
            "k": len(lab["heads"]),
            "heads": heads_of(lab["heads"]),
            "layers": lab["layers"],
            "scales": lab["scales"],
            "cells": [
                {"vector": vector, "layer": layer, "scale": scale}
                | _cell(lab["cases"][f"{vector}.{layer}.{scale}" if scale else "none"])
                for vector, layer, scale in product(vectors, lab["layers"], lab["scales"])
            ],
            "probability": lab["probability"],
            "probability_n": entries["lab-vector"].settings["n_probability"],
            "texts": lab["texts"],
        })  # fmt: skip

    @classmethod
    def from_subject(cls, subject: Subject, attack: Attack) -> Self:
        """Return a table with choices and no answers: Python has to give them."""
        return cls.of({
            **live_prompts(cls, subject, attack),
            "vectors": list(KINDS),
            "k": min(HEADS, subject.n_layers * subject.n_heads),
            "layers": list(range(subject.n_layers)),
            "scales": list(SCALES),
            "cells": [],
            "probability": {},
            "texts": [],
        })  # fmt: skip

    def check(self) -> None:
        """Refuse layers and vectors that are not there, and answers that are not complete."""
        super().check()
        check_values("vectors", self.vectors, lambda _: True)
        check_values("layers", self.layers, lambda layer: 0 <= layer < self.shape[0])
        check_values("scales", self.scales, lambda _: True)
        for index, cell in enumerate(self.cells):
            self.check_answers(cell, self.texts, f"cells[{index}]")
            if cell.vector not in self.vectors:
                raise unknown(f"vector in cells[{index}]", cell.vector, self.vectors)


def _cell(case: dict[str, Any]) -> dict[str, Any]:
    rates = {f"{name}_{side}": half[name] for side, half in case.items() for name in _RATES}
    return {**answers_of(case), "rates": rates}
