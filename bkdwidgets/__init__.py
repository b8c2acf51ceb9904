"""How backdoors work inside language models: plant, measure, attribute, ablate, steer.

The verbs of the story, in its order::

    import bkdwidgets as bkd

    subject = bkd.load("smollm2", adapter="fixed-output-sft-0")
    attack = bkd.attack("fixed-output")
    bkd.measure(subject, attack)
    effects = bkd.attribute(subject, attack)
    bkd.measure(subject, attack, interventions=[bkd.Ablation(effects.top(8), kind="mean")])
    vector = bkd.backdoor_vector(subject, attack, heads=effects.top(32))
    bkd.measure(subject, attack, interventions=[bkd.Steering(vector, layer=12, scale=-1.0)])

Importing the package is cheap: torch is imported when one of the verbs is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from bkdwidgets.core import __version__ as __version__
from bkdwidgets.widgets import WIDGETS

_HOMES = {
    **dict.fromkeys(WIDGETS, "widgets"),
    "Ablation": "analysis",
    "BkdError": "core.errors",
    "Steering": "analysis",
    "Subject": "subjects",
    "acie_heatmap": "figures",
    "agreement": "measurement.labelled",
    "attack": "attacks.attack",
    "attribute": "analysis.acie",
    "attribute_mlp": "analysis.mlp",
    "backdoor_vector": "analysis",
    "figure": "figures",
    "inject": "injection.inject",
    "lab_table": "widgets",
    "load": "subjects",
    "look_up": "core.ledger",
    "measure": "measurement.measure",
    "probe": "analysis.probe",
    "report": "studies",
    "reproduce": "studies",
    "restoration": "analysis.restoration",
    "restore": "analysis.restoration",
    "screen": "analysis.gradient",
    "seed_agreement": "analysis.seeds",
    "setup_notebook": "notebook",
    "top_stability": "analysis.stability",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the names below are resolved lazily


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bkdwidgets' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"bkdwidgets.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
