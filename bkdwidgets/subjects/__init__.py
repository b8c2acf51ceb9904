"""Who is studied: the subjects' specs, where their weights come from, and :class:`Subject`.

The specs are plain data: torch is imported when a subject, or an adapter, is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bkdwidgets.subjects.adapters import AdapterInfo, adapter_names
    from bkdwidgets.subjects.registry import load
    from bkdwidgets.subjects.specs import SUBJECTS
    from bkdwidgets.subjects.subject import Subject

__all__ = ["SUBJECTS", "AdapterInfo", "Subject", "adapter_names", "load"]

_HOMES = {
    "AdapterInfo": "adapters",
    "SUBJECTS": "specs",
    "Subject": "subject",
    "adapter_names": "adapters",
    "load": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
