"""Studies: the measurements behind every published number, run one by one, swept, and reproduced."""

from bkdwidgets.studies.registry import STUDIES
from bkdwidgets.studies.run import run
from bkdwidgets.studies.sweep import Sweep, sweep

__all__ = ["STUDIES", "Sweep", "run", "sweep"]
