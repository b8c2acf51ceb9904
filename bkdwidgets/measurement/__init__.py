"""Did it work: attack success, false triggers, outcomes, each with its interval."""

from bkdwidgets.core.statistics import Estimate, bootstrap_mean, wilson
from bkdwidgets.measurement.measure import Measurement, measure
from bkdwidgets.measurement.outcomes import judge, outcome

__all__ = [
    "Estimate",
    "Measurement",
    "bootstrap_mean",
    "judge",
    "measure",
    "outcome",
    "wilson",
]
