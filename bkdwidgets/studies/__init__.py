"""Studies: the measurements behind every published number, run one by one, swept, and reproduced."""

from bkdwidgets.studies.methods import Comparison, compare_methods
from bkdwidgets.studies.registry import studies
from bkdwidgets.studies.report import Report, report
from bkdwidgets.studies.reproduce import Reproduction, reproduce
from bkdwidgets.studies.run import run
from bkdwidgets.studies.sweep import Sweep, sweep

__all__ = [
    "Comparison",
    "Report",
    "Reproduction",
    "Sweep",
    "compare_methods",
    "report",
    "reproduce",
    "run",
    "studies",
    "sweep",
]
