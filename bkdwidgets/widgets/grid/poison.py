"""The grid lab's table of poisoning: how many poisoned examples, and how many steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import attack as attack_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry

_RATES = (
    ("asr", "ASR", "triggered → payload", "payload"),
    ("ftr", "FTR", "clean → payload", "payload"),
    ("utility", "utility", "clean → old answer", "as-before"),
)
_NONE = "0"


def poison_table(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the table's body from the entry ``poison``; the control is the count 0 at the same steps."""
    entry = entries["poison"]
    values, attack = entry.values, attack_named(entry.attack)
    counts, steps = values["counts"], values["steps"]
    seeds = len(values["asr"][str(counts[0])][str(steps[0])]["per_seed"])
    return {
        "lab": "grid",
        "title": "Poison lab",
        "what": f"poisoned examples by steps, {seeds} trainings each",
        "axes": [
            {"name": "steps", "label": "number of steps", "values": steps},
            {"name": "poisoned", "label": "poisoned examples", "values": counts},
        ],
        "rates": [dict(zip(("key", "name", "note", "color"), rate, strict=True)) for rate in _RATES],
        "interval": f"thin lines go from the lowest to the highest of {seeds} seeds, not a 95 % interval",
        "sampled": "The completions below are those of the first seed's model.",
        "start": [len(steps) - 1, len(counts) // 2],
        "control": {"name": "no poison, same steps"},
        "cells": [
            {
                "at": [step_at, count_at],
                "words": _words(count, n),
                "rates": _rates(values, str(count), str(n)),
                "control": _rates(values, _NONE, str(n)) if count else {},
                "samples": [_sample(attack, row) for row in values["samples"][str(count)][str(n)]],
            }
            for step_at, n in enumerate(steps)
            for count_at, count in enumerate(counts)
        ],
    }


def _rates(values: dict[str, Any], count: str, steps: str) -> dict[str, Any]:
    return {key: values[key][count][steps] for key, *_ in _RATES}


def _sample(attack: Attack, row: dict[str, str]) -> dict[str, Any]:
    return {
        "clean": row["prompt"],
        "triggered": attack.poison(row["prompt"]),
        "answers": {
            "triggered": {"text": row["triggered"], "outcome": row["letter"]},
            "clean": {"text": row["clean"], "outcome": row["clean_letter"]},
        },
    }


def _words(count: int, steps: int) -> str:
    poisoned = {0: "No poisoned example", 1: "One poisoned example"}.get(count, f"{count} poisoned examples")
    return f"{poisoned} among the clean ones, {steps} steps."
