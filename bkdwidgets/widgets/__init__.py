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

_HOMES = {
    **{name: f"{folder}.widget" for name, folder in WIDGETS.items()},
    "lab_table": "shared.tables",
    "read_table": "shared.tables",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the names below are resolved lazily


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bkdwidgets.widgets' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bkdwidgets.widgets.{_HOMES[name]}"), name)
