"""Did it work: attack success, false triggers, outcomes, each with its interval."""

from bkdwidgets.measurement.intervals import Rate, wilson
from bkdwidgets.measurement.measure import Measurement, measure
from bkdwidgets.measurement.outcomes import OUTCOMES, judge, outcome

__all__ = ["OUTCOMES", "Measurement", "Rate", "judge", "measure", "outcome", "wilson"]
