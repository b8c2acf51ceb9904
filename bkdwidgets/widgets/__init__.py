"""Labs: things to turn and click, in a notebook and in a page that has no kernel.

Each lab is an ordinary ipywidget: real sliders and menus, linked in the reader's browser to a view
that answers from a table which travels with it. With a kernel, Python answers what the table lacks.

A widget is one folder here: ``widget.py`` (the controls), ``view.js`` and ``view.css`` (what is drawn),
``table.py`` (what travels with it) and ``study.py`` (what it computes once for the published page).
"""

from __future__ import annotations

import importlib
from typing import Any

WIDGETS = {
    "AblationLab": "ablation",
    "AttentionView": "attention",
    "GridLab": "grid",
    "LabelLab": "labels",
    "Playground": "playground",
    "ProbeView": "probe",
    "VectorLab": "vector",
}
"""The folder of each widget. A widget is imported when it is first used: it brings its code along."""

_TABLES = ("lab_table", "read_table")

__all__ = sorted([*WIDGETS, *_TABLES])  # noqa: PLE0605 - the names below are resolved lazily


def __getattr__(name: str) -> Any:
    if name not in WIDGETS and name not in _TABLES:
        raise AttributeError(f"module 'bkdwidgets.widgets' has no attribute {name!r}")
    home = f"{WIDGETS[name]}.widget" if name in WIDGETS else "shared.tables"
    return getattr(importlib.import_module(f"bkdwidgets.widgets.{home}"), name)
