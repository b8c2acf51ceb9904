"""Did it work: attack success, false triggers, outcomes, each with its interval."""

from bkdwidgets.core.statistics import Mean, Rate, bootstrap_mean, wilson
from bkdwidgets.measurement.measure import Measurement, measure
from bkdwidgets.measurement.outcomes import OUTCOMES, judge, outcome

__all__ = [
    "OUTCOMES",
    "Mean",
    "Measurement",
    "Rate",
    "bootstrap_mean",
    "judge",
    "measure",
    "outcome",
    "wilson",
]
