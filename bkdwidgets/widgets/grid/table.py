"""The grid lab's tables: weight restoration, and poisoning.

Which clean weights are put back, and in which layers; how many poisoned examples there are, and for how many
steps they are trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.studies.outcomes import rate
from bkdwidgets.widgets.grid.schema import GridTable
from bkdwidgets.widgets.shared.schema import head_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry

PARTS = {"attention": "attention", "mlp": "MLP"}
WAYS = {"cumulative": "up to layer", "single": "only layer"}
_RESTORED = (
    ("probability", "P(payload)", "triggered, mean", "payload"),
    ("left", "backdoor left", "share of P(payload)", "payload"),
    ("asr", "ASR", "triggered → payload", "payload"),
    ("as_before", "as before", "triggered → old answer", "as-before"),
    ("ftr", "FTR", "clean → payload", "payload"),
    ("utility", "utility", "clean → old answer", "as-before"),
)
_MEASURED = ("asr", "as_before", "ftr", "utility")
_POISONED = (
    ("asr", "ASR", "triggered → payload", "payload"),
    ("ftr", "FTR", "clean → payload", "payload"),
    ("utility", "utility", "clean → old answer", "as-before"),
)
_NONE = "0"


class RestorationTable(GridTable, kw_only=True):
    """Clean weights put back: which kind, in which layers."""

    NAME: ClassVar[str] = "restoration"
    NEEDS: ClassVar[tuple[str, ...]] = ("measure", "restoration")

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table of the entries ``measure`` and ``restoration``."""
        values, whole = entries["restoration"].values, entries["measure"].values
        layers = list(values["single"]["attention"])
        last = len(layers) - 1
        n = entries["restoration"].settings["n"]
        return cls.of({
            **head_of(cls, entries),
            "title": "Restoration lab",
            "what": f"clean weights put back, {len(layers)} layers",
            "axes": [
                {"name": "weights", "label": "kind of weights", "values": list(PARTS.values())},
                {"name": "where", "values": list(WAYS.values())},
                {"name": "layer", "values": [int(layer) for layer in layers]},
            ],
            "rates": [dict(zip(("key", "name", "note", "color"), rate, strict=True)) for rate in _RESTORED],
            "start": [0, 0, last],
            "cells": [
                {
                    "at": [part_at, way_at, int(layer)],
                    "words": _restored_words(PARTS[part], way, int(layer)),
                    "rates": _restored_rates(values, part, way, layer, whole=int(layer) == last),
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
        })  # fmt: skip


class PoisonTable(GridTable, kw_only=True):
    """Poisoned examples by steps; the control is the count 0 at the same steps."""

    NAME: ClassVar[str] = "poison"
    NEEDS: ClassVar[tuple[str, ...]] = ("poison",)

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table of the entry ``poison``."""
        entry = entries["poison"]
        values, attack = entry.values, attack_named(entry.attack)
        counts, steps = values["counts"], values["steps"]
        seeds = len(values["asr"][str(counts[0])][str(steps[0])]["per_seed"])
        return cls.of({
            **head_of(cls, entries),
            "title": "Poison lab",
            "what": f"poisoned examples by steps, {seeds} trainings each",
            "axes": [
                {"name": "steps", "label": "number of steps", "values": steps},
                {"name": "poisoned", "label": "poisoned examples", "values": counts},
            ],
            "rates": [dict(zip(("key", "name", "note", "color"), rate, strict=True)) for rate in _POISONED],
            "interval": f"thin lines go from the lowest to the highest of {seeds} seeds, not a 95 % interval",
            "sampled": "The completions below are those of the first seed's model.",
            "start": [len(steps) - 1, len(counts) // 2],
            "control": {"name": "no poison, same steps"},
            "cells": [
                {
                    "at": [step_at, count_at],
                    "words": _poisoned_words(count, n),
                    "rates": _poisoned_rates(values, str(count), str(n)),
                    "control": _poisoned_rates(values, _NONE, str(n)) if count else {},
                    "samples": [_sample(attack, row) for row in values["samples"][str(count)][str(n)]],
                }
                for step_at, n in enumerate(steps)
                for count_at, count in enumerate(counts)
            ],
        })  # fmt: skip


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


def _restored_rates(
    values: dict[str, Any], part: str, way: str, layer: str, *, whole: bool
) -> dict[str, Any]:
    """Return the probability, and for a part put back as a whole what the model then says as well."""
    rates = {"probability": values[way][part][layer]}
    if not (whole and way == "cumulative"):
        return rates
    left = values["left"].get(part)
    measured = {name: values["measured"][part][name] for name in _MEASURED}
    return rates | ({"left": left} if left else {}) | measured


def _restored_words(part: str, way: str, layer: int) -> str:
    where = f"layer {layer} alone" if way == "single" or not layer else f"layers 0 to {layer}"
    return f"Clean {part} weights are put back in {where}; everything else stays as the attack left it."


def _poisoned_rates(values: dict[str, Any], count: str, steps: str) -> dict[str, Any]:
    return {key: values[key][count][steps] for key, *_ in _POISONED}


def _sample(attack: Attack, row: dict[str, str]) -> dict[str, Any]:
    return {
        "clean": row["prompt"],
        "triggered": attack.poison(row["prompt"]),
        "answers": {
            "triggered": {"text": row["triggered"], "outcome": row["letter"]},
            "clean": {"text": row["clean"], "outcome": row["clean_letter"]},
        },
    }


def _poisoned_words(count: int, steps: int) -> str:
    poisoned = {0: "No poisoned example", 1: "One poisoned example"}.get(count, f"{count} poisoned examples")
    return f"{poisoned} among the clean ones, {steps} steps."
