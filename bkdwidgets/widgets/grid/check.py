"""Tables of the grid lab: what came out for each choice on two or three axes.

A grid table is the common head of a lab table (``format``, ``lab: "grid"``, ``subject``, ``attack``,
``adapter``, ``provenance``) and

``axes``
    Two or three ``{"name": str, "values": [number or text, ...]}``. The last one runs along the curve, the
    first one gives its lines; one in between picks a sheet. The name stands beside the control; an optional
    ``"label"`` is what it is called where there is more room.
``rates``
    What is reported, in this order: ``{"key", "name", "note", "color"}``. The color is a meaning of
    :mod:`bkdwidgets.core.theme`. The curve offers those that every cell has.
``cells``
    ``{"at": [index per axis], "rates": {key: rate}}``, where a rate is ``{"value", "low", "high", "n"}`` and
    may name its trainings, ``"per_seed": [value, ...]``. A cell may be missing, and a cell may lack a rate.
    Optional: ``"words"``, the choice in one sentence; ``"control": {key: rate}``; ``"samples"``, a list of
    ``{"clean": prompt, "triggered": prompt, "answers": {side: {"text", "outcome"}}}``.
``reference``, ``control``
    Optional ``{"name": str, "rates": {key: rate}}``: nothing done, and what stands for chance. A cell's own
    ``"control"`` comes before the table's.
``title``, ``what``, ``start``, ``interval``, ``sampled``
    Optional: the lab's name and its subtitle, the index per axis to start at, what the thin lines are where
    they are not 95 % intervals, and a sentence on where the samples come from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.core.theme import COLORS
from bkdwidgets.core.vocabulary import LETTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AXES = (2, 3)
SIDES = ("triggered", "clean")
_PARTS = ("value", "low", "high", "n")


def check_grid(table: Mapping[str, Any]) -> None:
    """Refuse a grid table that the view could not draw.

    Raises
    ------
    BkdError
        With the first fault, in one line.
    """
    sizes = [len(_axis(axis, index)) for index, axis in enumerate(_listed(table, "axes"))]
    if len(sizes) not in AXES:
        raise BkdError(f"lab table has {len(sizes)} axes; a grid has two or three")
    keys = [_described(rate, index) for index, rate in enumerate(_listed(table, "rates"))]
    seen = set()
    for index, cell in enumerate(_listed(table, "cells")):
        where = f"cells[{index}]"
        place = _place(cell.get("at") if isinstance(cell, dict) else None, sizes, where)
        if place in seen:
            raise BkdError(f"{where} of the lab table stands at {list(place)}, and so does one before it")
        seen.add(place)
        _check_rates(cell.get("rates"), keys, where)
        _check_rates(cell.get("control", {}), keys, f"{where}.control")
        for number, sample in enumerate(cell.get("samples", [])):
            _check_sample(sample, f"{where}.samples[{number}]")
    for name in ("reference", "control"):
        _check_rates(table.get(name, {}).get("rates", {}), keys, name)
    if "start" in table:
        _place(table["start"], sizes, "start")


def curve_keys(table: Mapping[str, Any]) -> list[str]:
    """Return the rates that every cell has, which a curve can show; the first rate if there is none."""
    keys = [rate["key"] for rate in table["rates"]]
    everywhere = [key for key in keys if all(key in cell["rates"] for cell in table["cells"])]
    return everywhere or keys[:1]


def _axis(axis: Any, index: int) -> list[Any]:
    values = axis.get("values") if isinstance(axis, dict) else None
    if not (isinstance(values, list) and values and isinstance(axis.get("name"), str)):
        raise BkdError(f"axes[{index}] of the lab table must have a name and at least one value")
    if not isinstance(axis.get("label", ""), str):
        raise BkdError(f"axes[{index}] of the lab table must have a text as label")
    if not all(isinstance(value, str | int | float) for value in values):
        raise BkdError(f"axes[{index}] of the lab table must have numbers or texts as values")
    return values


def _listed(table: Mapping[str, Any], key: str) -> list[Any]:
    found = table[key]
    if not (isinstance(found, list) and found):
        raise BkdError(f"{key} of the lab table must be a non-empty list, got {str(found)[:60]}")
    return found


def _described(rate: Any, index: int) -> str:
    if not (isinstance(rate, dict) and all(isinstance(rate.get(key), str) for key in ("key", "name"))):
        raise BkdError(f"rates[{index}] of the lab table must have the texts 'key' and 'name'")
    if rate.get("color") not in COLORS:
        raise unknown(f"color in rates[{index}]", rate.get("color"), COLORS)
    return str(rate["key"])


def _place(at: Any, sizes: Sequence[int], where: str) -> tuple[int, ...]:
    inside = (
        isinstance(at, list)
        and len(at) == len(sizes)
        and all(isinstance(part, int) and 0 <= part < size for part, size in zip(at, sizes, strict=True))
    )
    if not inside:
        raise BkdError(f"{where} of the lab table is at {at!r}; the axes have {list(sizes)} values")
    return tuple(at)


def _check_rates(rates: Any, keys: Sequence[str], where: str) -> None:
    if not isinstance(rates, dict):
        raise BkdError(f"{where} of the lab table must have rates by key, got {str(rates)[:60]}")
    for key, rate in rates.items():
        if key not in keys:
            raise unknown(f"rate in {where}", key, keys)
        numbers = [rate.get(part) if isinstance(rate, dict) else None for part in _PARTS]
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise BkdError(f"{where}.{key} of the lab table must have the numbers {', '.join(_PARTS)}")
        seeds = rate.get("per_seed", [])
        if not (isinstance(seeds, list) and all(isinstance(seed, int | float) for seed in seeds)):
            raise BkdError(f"{where}.{key} of the lab table must have a list of numbers as per_seed")


def _check_sample(sample: Any, where: str) -> None:
    if not (isinstance(sample, dict) and all(isinstance(sample.get(side), str) for side in SIDES)):
        raise BkdError(f"{where} of the lab table must have the texts 'clean' and 'triggered'")
    for side in SIDES:
        said = sample.get("answers", {}).get(side, {})
        if not isinstance(said.get("text"), str):
            raise BkdError(f"{where} of the lab table must have an answer to its {side} prompt")
        if said.get("outcome") not in LETTERS:
            raise unknown(f"outcome in {where}", said.get("outcome"), LETTERS)
