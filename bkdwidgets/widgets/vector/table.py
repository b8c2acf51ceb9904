"""The vector lab's table: three vectors, layer by scale, completions, rates and payload probability."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.heads import heads_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.core.ledger import Entry

_TOLD = ("asr", "as_before", "outcomes")


def vector_table(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the table's body from the entry ``lab-vector``."""
    lab = entries["lab-vector"].values
    vectors = list(lab["norms"])
    return {
        "vectors": vectors,
        "norms": lab["norms"],
        "k": len(lab["heads"]),
        "heads": [list(head) for head in heads_of(lab["heads"])],
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
    }


def _cell(case: dict[str, Any]) -> dict[str, Any]:
    answers = {
        side: [[text, letter] for text, letter in zip(half["texts"], half["letters"], strict=False)]
        for side, half in case.items()
    }
    rates = {f"{name}_{side}": half[name] for side, half in case.items() for name in _TOLD}
    return {**answers, "rates": rates}
