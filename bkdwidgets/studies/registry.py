"""The studies by name, each after those it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkdwidgets.core.errors import unknown
from bkdwidgets.studies.ablating import Ablating
from bkdwidgets.studies.attribution import Attribution
from bkdwidgets.studies.families import Families
from bkdwidgets.studies.lab_ablation import LabAblation
from bkdwidgets.studies.lab_attention import LabAttention
from bkdwidgets.studies.lab_vector import LabVector
from bkdwidgets.studies.measuring import Measuring
from bkdwidgets.studies.mlp_layers import MlpLayers
from bkdwidgets.studies.near_misses import NearMisses
from bkdwidgets.studies.poison import Poison
from bkdwidgets.studies.probing import Probing
from bkdwidgets.studies.restoring import Restoring
from bkdwidgets.studies.screening import Screening
from bkdwidgets.studies.steering import SteeringOnTest
from bkdwidgets.studies.steering_grid import SteeringGrid
from bkdwidgets.studies.trigger_form import TriggerForm

if TYPE_CHECKING:
    from bkdwidgets.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Measuring(),
        NearMisses(),
        Probing(),
        Attribution(),
        Screening(),
        MlpLayers(),
        Restoring(),
        Ablating(),
        SteeringGrid(),
        SteeringOnTest(),
        LabAblation(),
        LabVector(),
        LabAttention(),
        Poison(),
        TriggerForm(),
        Families(),
    )
}


def study(name: str) -> Study:
    """Return a study by name, or raise BkdError that lists the known ones."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name]
