"""How a backdoor works: causal effects of heads, interventions, the backdoor vector."""

from bkdwidgets.analysis.acie import HeadEffects, attribute
from bkdwidgets.analysis.interventions import Ablation, Steering
from bkdwidgets.analysis.probe import probe
from bkdwidgets.analysis.probe_result import ProbeResult
from bkdwidgets.analysis.vector import BackdoorVector, backdoor_vector

__all__ = [
    "Ablation",
    "BackdoorVector",
    "HeadEffects",
    "ProbeResult",
    "Steering",
    "attribute",
    "backdoor_vector",
    "probe",
]
