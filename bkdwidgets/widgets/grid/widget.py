"""The grid lab: a choice on two or three axes, and what came of it.

Everything that was measured over a grid can be turned here: which clean weights are put back and in which
layers, how many poisoned examples and for how many steps. Each choice shows its rates with interval and n,
beside what happens when nothing is done and beside the control; a curve says where one stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown, unknown
from bkdwidgets.widgets.grid.schema import GridTable
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle, stylesheet

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.widgets.grid.schema import Axis
    from bkdwidgets.widgets.shared.schema import Table

_FEW = 4
"""Up to so many values are buttons, more are a slider."""


class GridView(lab.LabView):
    """Draws the grid lab; see ``view.js``."""

    _esm = bundle(__file__)
    _css = stylesheet(__file__)
    axis_0 = traitlets.Int(0).tag(sync=True)
    axis_1 = traitlets.Int(0).tag(sync=True)
    axis_2 = traitlets.Int(0).tag(sync=True)
    curves = traitlets.List().tag(sync=True)
    curve_index = traitlets.Int(0).tag(sync=True)


class GridLab(lab.Lab):
    """A choice on two or three axes, and what came of it, beside nothing done and the control.

    Parameters
    ----------
    table : mapping, str or Path
        A grid table, or its file: ``bkd.lab_table(subject, adapter, "restoration")``,
        ``bkd.lab_table(subject, family, "poison")``, or one of your own.
    start : mapping of str to value, optional
        Where the controls start, by the name of an axis; elsewhere as the table says.

    Attributes
    ----------
    axes : dict of str to ipywidgets.Widget
        The controls by the name of their axis.
    curve : ipywidgets.ToggleButtons or None
        Which rate the curve shows; None where there is one alone.
    view : GridView
        The part that draws.

    Raises
    ------
    BkdError
        If the table is not a grid table, or `start` names an axis or a value that is not in it.

    Notes
    -----
    A grid table is plain values: ``axes`` (two or three, each with ``name`` and ``values``; the last runs
    along the curve, the first gives its lines), ``rates`` (``key``, ``name``, ``note``, ``color`` of what is
    reported) and ``cells``, each with ``at`` (an index per axis), ``rates`` by key
    (``{"value", "low", "high", "n"}``) and, if there are any, ``samples``. Optional are ``reference`` and
    ``control``. All of it is described in :mod:`bkdwidgets.widgets.grid.schema`.

    Examples
    --------
    >>> GridLab(bkd.lab_table("smollm2", "fixed-output-sft-0", "restoration"))  # doctest: +SKIP
    >>> GridLab(bkd.lab_table("nano", "fixed-output-sft", "poison"), start={"poisoned": 8})  # doctest: +SKIP
    """

    def __init__(
        self, table: Table | Mapping[str, Any] | str | Path, *, start: Mapping[str, Any] | None = None
    ) -> None:
        content = GridTable.read(table)
        at = _start(content, start or {})
        curves = content.curve_keys()
        places: dict[str, Any] = {f"axis_{index}": place for index, place in enumerate(at)}
        view = GridView(content, curves=curves, **places)
        self.axes = {
            axis.name: lab.linked(_control(axis, at[index]), view, f"axis_{index}")
            for index, axis in enumerate(content.axes)
        }
        named = {rate.key: rate.name for rate in content.rates}
        self.curve = None
        if len(curves) > 1:
            buttons = ipywidgets.ToggleButtons(
                options=[named[key] for key in curves], index=0, description="curve"
            )
            self.curve = lab.linked(buttons, view, "curve_index")
        super().__init__(view, [*self.axes.values(), *filter(None, [self.curve])], kind="grid")


def _start(table: GridTable, start: Mapping[str, Any]) -> list[int]:
    axes = {axis.name: axis.values for axis in table.axes}
    at = dict(zip(axes, table.start or [0] * len(axes), strict=True))
    if not isinstance(start, Mapping):
        raise BkdError(f"start={shown(start)} is not allowed; values by the name of their axis")
    for name, value in start.items():
        values = axes[arguments.one_of("axis", name, axes)]
        if isinstance(value, bool) or value not in values:
            raise unknown(name, value, values)
        at[name] = axes[name].index(value)
    return list(at.values())


def _control(axis: Axis, index: int) -> ipywidgets.Widget:
    """Return buttons for a few values and a slider for more."""
    options = lab.numbered(axis.values)
    if len(options) > _FEW:
        return lab.stops(options, index=index, description=axis.name)
    return ipywidgets.ToggleButtons(options=options, index=index, description=axis.name)
