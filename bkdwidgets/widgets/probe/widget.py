"""What a probe can read from each layer, beside what it reads off a model without a backdoor.

A probe that tells triggered from clean prompts may only read the trigger's words. So the same probe on
the clean model stands beside it everywhere, with intervals; the matrix shows whether the probe of one
layer works on another (inter-layer classification accuracy, ILCA; arXiv 2509.21761, section 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import traitlets

from bkdwidgets.core import ledger
from bkdwidgets.widgets.probe.table import ProbeTable
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle

if TYPE_CHECKING:
    from bkdwidgets.analysis.probe_result import ProbeResult

_MATRICES = ("this subject", "clean model")


class ProbePlot(lab.LabView):
    """Draws the probe view; see ``view.js``."""

    _esm = bundle(__file__)
    kind_index = traitlets.Int(0).tag(sync=True)
    matrix_index = traitlets.Int(0).tag(sync=True)


class ProbeView(lab.Lab):
    """Accuracy per layer with the clean-model control, and the ILCA matrix.

    Parameters
    ----------
    source : str, Entry or ProbeResult
        The name of a ledger entry of the study ``probe``, such an entry, or what
        :func:`bkdwidgets.probe` returned.

    Attributes
    ----------
    kind, matrix : ipywidgets.Widget
        The controls: which kind of probe, and whose matrix.
    view : ProbePlot
        The part that draws.

    Raises
    ------
    BkdError
        If there is no such entry, or it is not one of the study ``probe``.

    Examples
    --------
    >>> ProbeView("smollm2/fixed-output-sft-0/probe")  # doctest: +SKIP
    """

    def __init__(self, source: str | ledger.Entry | ProbeResult) -> None:
        entry = ledger.read(source) if isinstance(source, str) else source
        if isinstance(entry, ledger.Entry):
            table = ProbeTable.from_entries({"probe": entry})
        else:
            table = ProbeTable.from_result(entry)
        view = ProbePlot(table)
        kinds = ipywidgets.ToggleButtons(options=list(table.kinds), index=0, description="probe")
        self.kind = lab.linked(kinds, view, "kind_index")
        matrices = ipywidgets.ToggleButtons(options=_MATRICES, index=0, description="matrix")
        self.matrix = lab.linked(matrices, view, "matrix_index")
        super().__init__(view, [self.kind, self.matrix], kind="probe")
