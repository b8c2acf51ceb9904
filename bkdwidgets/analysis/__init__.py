"""How a backdoor works: causal effects of heads, interventions, the backdoor vector."""

from bkdwidgets.analysis.acie import HeadEffects, attribute
from bkdwidgets.analysis.gradient import HeadScreen, screen
from bkdwidgets.analysis.interventions import Ablation, Steering
from bkdwidgets.analysis.mlp import MlpEffects, attribute_mlp
from bkdwidgets.analysis.probe import probe
from bkdwidgets.analysis.probe_result import ProbeResult
from bkdwidgets.analysis.restoration import Restoration, restoration, restore
from bkdwidgets.analysis.seeds import SeedAgreement, seed_agreement
from bkdwidgets.analysis.stability import TopStability, top_stability
from bkdwidgets.analysis.vector import BackdoorVector, backdoor_vector

__all__ = [
    "Ablation",
    "BackdoorVector",
    "HeadEffects",
    "HeadScreen",
    "MlpEffects",
    "ProbeResult",
    "Restoration",
    "SeedAgreement",
    "Steering",
    "TopStability",
    "attribute",
    "attribute_mlp",
    "backdoor_vector",
    "probe",
    "restoration",
    "restore",
    "screen",
    "seed_agreement",
    "top_stability",
]
