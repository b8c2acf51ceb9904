"""The schema of the grid lab: what came out for each choice on two or three axes.

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

from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.core.theme import COLORS
from bkdwidgets.core.vocabulary import SIDES
from bkdwidgets.widgets.shared.schema import Completion, Rate, Side, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

AXES = (2, 3)


class Axis(msgspec.Struct, kw_only=True):
    """A control: its name, what it may be set to, and what it is called where there is more room."""

    name: str
    values: list[str | int | float]
    label: str | UnsetType = UNSET


class Reported(msgspec.Struct, kw_only=True):
    """A rate that is reported: how it is called, and the meaning whose color it has."""

    key: str
    name: str
    color: str
    note: str | UnsetType = UNSET


class Sample(msgspec.Struct, kw_only=True):
    """A prompt without and with the trigger, and the answers to both."""

    clean: str
    triggered: str
    answers: dict[Side, Completion]


class Cell(msgspec.Struct, kw_only=True):
    """What came of a choice: the index on each axis, and the rates by key."""

    at: list[int]
    rates: dict[str, Rate]
    words: str | UnsetType = UNSET
    control: dict[str, Rate] | UnsetType = UNSET
    samples: list[Sample] | UnsetType = UNSET


class Compared(msgspec.Struct, kw_only=True):
    """Something that every choice is compared with."""

    name: str
    rates: dict[str, Rate] | UnsetType = UNSET


class GridTable(Table, kw_only=True):
    """What the grid lab shows."""

    LAB: ClassVar[str] = "grid"

    axes: list[Axis]
    rates: list[Reported]
    cells: list[Cell]
    reference: Compared | UnsetType = UNSET
    control: Compared | UnsetType = UNSET
    title: str | UnsetType = UNSET
    what: str | UnsetType = UNSET
    start: list[int] | UnsetType = UNSET
    interval: str | UnsetType = UNSET
    sampled: str | UnsetType = UNSET

    def check(self) -> None:
        """Refuse axes without values, cells outside of them or at one place, and rates that are not named."""
        self._check_choices()
        seen = set()
        for index, cell in enumerate(self.cells):
            where = f"cells[{index}]"
            self._check_place(cell.at, where)
            if tuple(cell.at) in seen:
                raise BkdError(f"{where} of the lab table stands at {cell.at}, and so does one before it")
            seen.add(tuple(cell.at))
            self._check_keys(cell.rates, where)
            self._check_keys(cell.control or {}, f"{where}.control")
            if any(len(sample.answers) < len(SIDES) for sample in cell.samples or []):
                raise BkdError(f"{where}.samples of the lab table must have an answer to each side")
        for name, other in (("reference", self.reference), ("control", self.control)):
            if other:
                self._check_keys(other.rates or {}, name)
        if self.start is not UNSET:
            self._check_place(self.start, "start")

    def _check_choices(self) -> None:
        for index, axis in enumerate(self.axes):
            if not axis.values:
                raise BkdError(f"axes[{index}] of the lab table must have at least one value")
        if len(self.axes) not in AXES:
            raise BkdError(f"lab table has {len(self.axes)} axes; a grid has two or three")
        if not (self.rates and self.cells):
            raise BkdError("rates and cells of the lab table must have at least one item each")
        for index, rate in enumerate(self.rates):
            if rate.color not in COLORS:
                raise unknown(f"color in rates[{index}]", rate.color, COLORS)

    def curve_keys(self) -> list[str]:
        """Return the rates that every cell has, which a curve can show; the first rate if there is none."""
        keys = [rate.key for rate in self.rates]
        everywhere = [key for key in keys if all(key in cell.rates for cell in self.cells)]
        return everywhere or keys[:1]

    def _check_place(self, at: Sequence[int], where: str) -> None:
        sizes = [len(axis.values) for axis in self.axes]
        if len(at) != len(sizes) or not all(0 <= part < size for part, size in zip(at, sizes, strict=True)):
            raise BkdError(f"{where} of the lab table is at {list(at)}; the axes have {sizes} values")

    def _check_keys(self, rates: dict[str, Rate], where: str) -> None:
        known = [rate.key for rate in self.rates]
        for key in rates:
            if key not in known:
                raise unknown(f"rate in {where}", key, known)
