"""The probe view's table: accuracy per layer with its controls, and the matrices, for each kind of probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from msgspec import UNSET, UnsetType

from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.widgets.shared.schema import FORMAT, Rate, Table, head_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.analysis.probe_result import ProbeResult
    from bkdwidgets.core.ledger import Entry

_SCORES = ("accuracy", "control", "shuffled", "unrelated", "other")


class Curves(msgspec.Struct, kw_only=True):
    """What one kind of probe reads: rates by layer, the difference to the control, the ILCA matrices.

    ``names`` says how each line is called.
    """

    accuracy: list[Rate]
    control: list[Rate]
    ilca: list[list[float]]
    control_ilca: list[list[float]]
    names: dict[str, str]
    shuffled: list[Rate] | UnsetType = UNSET
    unrelated: list[Rate] | UnsetType = UNSET
    other: list[Rate] | UnsetType = UNSET
    difference: list[Rate] | UnsetType = UNSET


class ProbeTable(Table, kw_only=True):
    """What the probe view draws, by kind of probe."""

    LAB: ClassVar[str] = "probe"
    NEEDS: ClassVar[tuple[str, ...]] = ("probe",)

    what: str
    kinds: dict[str, Curves]

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table of the entry ``probe``."""
        entry = entries["probe"]
        if entry.study != "probe":
            raise BkdError(
                f"{entry.name} is an entry of the study {entry.study!r}; ProbeView needs one of 'probe'"
            )
        kinds = {kind: _of_values(values, entry.adapter) for kind, values in entry.values.items()}
        return cls.of({**head_of(cls, entries), "what": _what(entry.attack, kinds), "kinds": kinds})

    @classmethod
    def from_result(cls, result: ProbeResult) -> Self:
        """Return the table of what :func:`bkdwidgets.probe` returned."""
        if not hasattr(result, "ilca"):
            raise BkdError(
                f"source={shown(result)} is not allowed; a result of bkd.probe, or its ledger entry"
            )
        kinds = {result.kind: _of_result(result)}
        return cls.of({
            "format": FORMAT,
            "lab": cls.LAB,
            "subject": result.subject,
            "adapter": result.adapter,
            "attack": result.attack,
            "what": _what(result.attack, kinds),
            "kinds": kinds,
            "provenance": {
                "computed": "here, by bkd.probe", "seed": result.seed, "seconds": round(result.seconds, 1),
            },
        })  # fmt: skip

    def check(self) -> None:
        """Refuse lines and matrices that are not of one number of layers."""
        if not self.kinds:
            raise BkdError("kinds of the lab table must have at least one kind of probe")
        for kind, curves in self.kinds.items():
            layers, where = len(curves.ilca), f"kinds.{kind}"
            for name in (*_SCORES, "difference"):
                line = getattr(curves, name)
                if line is not UNSET and len(line) != layers:
                    raise BkdError(
                        f"{where}.{name} of the lab table must have a rate for each of {layers} layers"
                    )
            for name in ("ilca", "control_ilca"):
                matrix = getattr(curves, name)
                if not matrix or len(matrix) != layers or any(len(row) != layers for row in matrix):
                    raise BkdError(
                        f"{where}.{name} of the lab table must be {layers} rows of {layers} values"
                    )


def _of_values(values: Mapping[str, Any], adapter: str) -> dict[str, Any]:
    """Return a ledger entry's values of one kind, by-layer mappings as lists."""
    scores = {name: list(values[name].values()) for name in (*_SCORES, "difference") if values.get(name)}
    matrices = {name: values[name] for name in ("ilca", "control_ilca")}
    return {**scores, **matrices, "names": _names(adapter, values)}


def _of_result(result: ProbeResult) -> dict[str, Any]:
    scores = {name: getattr(result, name) for name in _SCORES}
    differences = zip(result.difference, result.difference_low, result.difference_high, strict=True)
    return {
        **{name: [vars(rate) for rate in score.rates] for name, score in scores.items() if score},
        "difference": [
            {"value": float(value), "low": float(low), "high": float(high), "n": result.n_test}
            for value, low, high in differences
        ],
        "ilca": result.ilca.tolist(),
        "control_ilca": result.control_ilca.tolist(),
        "names": _names(result.adapter, vars(result)),
    }


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


def _what(attack: str, kinds: Mapping[str, Any]) -> str:
    layers = len(next(iter(kinds.values()))["ilca"])
    return f"{attack}, {layers} states from layer to layer"
