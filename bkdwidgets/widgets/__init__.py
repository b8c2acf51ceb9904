"""Labs: things to turn and click, in a notebook and in a page that has no kernel.

Each lab is an ordinary ipywidget: real sliders and menus, linked in the reader's browser to a view
that answers from a table which travels with it. With a kernel, Python answers what the table lacks.
"""

from bkdwidgets.widgets.ablation import AblationLab
from bkdwidgets.widgets.attention import AttentionView
from bkdwidgets.widgets.grid import GridLab
from bkdwidgets.widgets.labels import LabelLab
from bkdwidgets.widgets.playground import Playground
from bkdwidgets.widgets.probe import ProbeView
from bkdwidgets.widgets.tables import read_table
from bkdwidgets.widgets.vector import VectorLab

__all__ = [
    "AblationLab",
    "AttentionView",
    "GridLab",
    "LabelLab",
    "Playground",
    "ProbeView",
    "VectorLab",
    "read_table",
]
