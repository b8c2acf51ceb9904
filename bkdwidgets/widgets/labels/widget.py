"""The label lab: a reader labels completions, and sees what becomes of the numbers.

Rules decide in this project whether a completion is the payload or as before, and rules can be wrong. Here
a reader gives the letters herself, each before she sees the rule's, and her rates stand beside those of the
rules, with intervals, agreement and every case where the two differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from bkdwidgets.widgets.labels.table import LabelsTable
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle, stylesheet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bkdwidgets.widgets.shared.schema import Table

SHOWN = ("at the end", "as I go")


class LabelView(lab.LabView):
    """Draws the label lab; see ``view.js``."""

    _esm = bundle(__file__)
    _css = stylesheet(__file__)
    labels = traitlets.Dict().tag(sync=True)
    shown = traitlets.Int(0).tag(sync=True)


class LabelLab(lab.Lab):
    """Label completions by hand, each before the rule's letter is shown, and see the rates move.

    Parameters
    ----------
    table : mapping, str or Path
        A labels table, or its file: ``bkd.lab_table(subject, adapter, "labels")``. It is described in
        :class:`bkdwidgets.widgets.labels.table.LabelsTable`.

    Attributes
    ----------
    labels : dict of str to str
        The letters given so far, by the id of the completion. They live in the page; a kernel reads them
        here, and ``lab.observe(function, "labels")`` is told of each change.
    shown : ipywidgets.ToggleButtons
        Whether the rules and the running tally are shown at the end or as one goes.
    view : LabelView
        The part that draws.

    Raises
    ------
    BkdError
        If the table is not a labels table.

    Examples
    --------
    >>> LabelLab(bkd.lab_table("smollm2", "fixed-output-sft-0", "labels"))  # doctest: +SKIP
    """

    labels = traitlets.Dict()

    def __init__(self, table: Table | Mapping[str, Any] | str | Path) -> None:
        view = LabelView(LabelsTable.read(table))
        self.shown = lab.linked(
            ipywidgets.ToggleButtons(options=SHOWN, index=0, description="rules"), view, "shown"
        )
        super().__init__(view, [self.shown], kind="label")
        traitlets.link((view, "labels"), (self, "labels"))
