"""What a probe can read from each layer, beside what it reads off a model without a backdoor.

A probe that tells triggered from clean prompts may only read the trigger's words. So the same probe on
the clean model stands beside it everywhere, with intervals; the matrix shows whether the probe of one
layer works on another (inter-layer classification accuracy, ILCA; arXiv 2509.21761, section 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.analysis.probe_result import ProbeResult

_SCORES = ("accuracy", "control", "shuffled", "unrelated", "other")
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
        table = _of_entry(entry) if isinstance(entry, ledger.Entry) else _of_result(entry)
        view = ProbePlot(table)
        kinds = ipywidgets.ToggleButtons(options=list(table["kinds"]), index=0, description="probe")
        self.kind = lab.linked(kinds, view, "kind_index")
        matrices = ipywidgets.ToggleButtons(options=_MATRICES, index=0, description="matrix")
        self.matrix = lab.linked(matrices, view, "matrix_index")
        super().__init__(view, [self.kind, self.matrix], kind="probe")


def _of_entry(entry: ledger.Entry) -> dict[str, Any]:
    if entry.study != "probe":
        raise BkdError(
            f"{entry.name} is an entry of the study {entry.study!r}; ProbeView needs one of 'probe'"
        )
    kinds = {kind: _of_values(values, entry.adapter) for kind, values in entry.values.items()}
    provenance = {"ledger entry": f"{entry.name} ({entry.digest()[:12]})"}
    provenance |= {key: entry.run[key] for key in ("command", "commit", "date", "device") if key in entry.run}
    return _table(entry.subject, entry.adapter, entry.attack, kinds, provenance)


def _of_values(values: Mapping[str, Any], adapter: str) -> dict[str, Any]:
    """Return a ledger entry's values of one kind, by-layer mappings as lists."""
    scores = {name: list(values[name].values()) for name in (*_SCORES, "difference") if values.get(name)}
    matrices = {name: values[name] for name in ("ilca", "control_ilca")}
    return {**scores, **matrices, "names": _names(adapter, values)}


def _of_result(result: ProbeResult) -> dict[str, Any]:
    if not hasattr(result, "ilca"):
        raise BkdError(f"source={shown(result)} is not allowed; a result of bkd.probe, or its ledger entry")
    scores = {name: getattr(result, name) for name in _SCORES}
    differences = zip(result.difference, result.difference_low, result.difference_high, strict=True)
    values: dict[str, Any] = {
        **{name: [vars(rate) for rate in score.rates] for name, score in scores.items() if score},
        "difference": [
            {"value": float(value), "low": float(low), "high": float(high), "n": result.n_test}
            for value, low, high in differences
        ],
        "ilca": result.ilca.tolist(),
        "control_ilca": result.control_ilca.tolist(),
        "names": _names(result.adapter, vars(result)),
    }
    provenance = {"computed": "here, by bkd.probe", "seed": result.seed, "seconds": round(result.seconds, 1)}
    return _table(result.subject, result.adapter, result.attack, {result.kind: values}, provenance)


def _names(adapter: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what the lines are called."""
    twin = values.get("control_adapter", "clean")
    return {
        "accuracy": adapter,
        "control": "clean model" if twin == "clean" else f"clean model ({twin})",
        "shuffled": "shuffled labels",
        "unrelated": f"unrelated prefix “{values.get('unrelated_prefix', '')}”",
        "other": f"on {values.get('other_name')}",
    }


def _table(
    subject: str, adapter: str, attack: str, kinds: Mapping[str, Any], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    layers = len(next(iter(kinds.values()))["ilca"])
    return {
        "format": 1,
        "lab": "probe",
        "subject": subject,
        "adapter": adapter,
        "attack": attack,
        "what": f"{attack}, {layers} states from layer to layer",
        "kinds": dict(kinds),
        "provenance": dict(provenance),
    }
