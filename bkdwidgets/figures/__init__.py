"""Figures, each drawn from a result and from nothing else."""

from bkdwidgets.figures.entries import LedgerFigure, figure
from bkdwidgets.figures.heads import acie_heatmap
from bkdwidgets.figures.outcomes import outcome_bars
from bkdwidgets.figures.probes import ilca_heatmap, probe_curve

__all__ = [
    "LedgerFigure",
    "acie_heatmap",
    "figure",
    "ilca_heatmap",
    "outcome_bars",
    "probe_curve",
]
