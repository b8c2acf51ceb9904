"""The grid lab's table of weight restoration: which clean weights are put back, and in which layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.studies.outcomes import rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.core.ledger import Entry

PARTS = {"attention": "attention", "mlp": "MLP"}
WAYS = {"cumulative": "up to layer", "single": "only layer"}
_RATES = (
    ("probability", "P(payload)", "triggered, mean", "payload"),
    ("left", "backdoor left", "share of P(payload)", "payload"),
    ("asr", "ASR", "triggered → payload", "payload"),
    ("as_before", "as before", "triggered → old answer", "as-before"),
    ("ftr", "FTR", "clean → payload", "payload"),
    ("utility", "utility", "clean → old answer", "as-before"),
)
_MEASURED = ("asr", "as_before", "ftr", "utility")


def restoration_table(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the table's body from the entries ``measure`` and ``restoration``."""
    values, whole = entries["restoration"].values, entries["measure"].values
    layers = list(values["single"]["attention"])
    last = len(layers) - 1
    n = entries["restoration"].settings["n"]
    return {
        "lab": "grid",
        "title": "Restoration lab",
        "what": f"clean weights put back, {len(layers)} layers",
        "axes": [
            {"name": "weights", "label": "kind of weights", "values": list(PARTS.values())},
            {"name": "where", "values": list(WAYS.values())},
            {"name": "layer", "values": [int(layer) for layer in layers]},
        ],
        "rates": [dict(zip(("key", "name", "note", "color"), rate, strict=True)) for rate in _RATES],
        "start": [0, 0, last],
        "cells": [
            {
                "at": [part_at, way_at, int(layer)],
                "words": _words(PARTS[part], way, int(layer)),
                "rates": _rates(values, part, way, layer, whole=int(layer) == last),
            }
            for part_at, part in enumerate(PARTS)
            for way_at, way in enumerate(WAYS)
            for layer in layers
        ],
        "reference": {
            "name": "nothing put back",
            "rates": {"probability": values["base"], **_first(whole["letters"], n)},
        },
        "control": {
            "name": "clean model",
            "rates": {"probability": values["clean"], **_first(whole["control"]["letters"], n)},
        },
    }


def _first(letters: Mapping[str, str], n: int) -> dict[str, Any]:
    """Return the rates over the first n targets, and as many others: the prompts of a part that is put back.

    The entry ``measure`` is over more of them, and its rates would not be of the same prompts.
    """
    triggered, clean = letters["triggered"][:n], letters["clean"][:n]
    return {
        "asr": rate(triggered, "P"),
        "as_before": rate(triggered, "="),
        "ftr": rate(clean, "P"),
        "utility": rate(clean + letters.get("other", "")[:n], "="),
    }


def _rates(values: dict[str, Any], part: str, way: str, layer: str, *, whole: bool) -> dict[str, Any]:
    """Return the probability, and for a part put back as a whole what the model then says as well."""
    rates = {"probability": values[way][part][layer]}
    if not (whole and way == "cumulative"):
        return rates
    left = values["left"].get(part)
    measured = {name: values["measured"][part][name] for name in _MEASURED}
    return rates | ({"left": left} if left else {}) | measured


def _words(part: str, way: str, layer: int) -> str:
    where = f"layer {layer} alone" if way == "single" or not layer else f"layers 0 to {layer}"
    return f"Clean {part} weights are put back in {where}; everything else stays as the attack left it."
