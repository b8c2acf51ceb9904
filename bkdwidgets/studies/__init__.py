"""Studies: the measurements behind every published number, run one by one, swept, and reproduced."""

from bkdwidgets.studies.registry import STUDIES
from bkdwidgets.studies.report import Report, report
from bkdwidgets.studies.reproduce import Reproduction, reproduce
from bkdwidgets.studies.run import run
from bkdwidgets.studies.sweep import Sweep, sweep

__all__ = ["STUDIES", "Report", "Reproduction", "Sweep", "report", "reproduce", "run", "sweep"]
