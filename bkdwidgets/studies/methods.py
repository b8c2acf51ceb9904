"""The methods of injection side by side: one subject, one attack, the same held-out prompts.

Everything comes from the ledger's ``measure`` entries and from the adapters' own logs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import ATTACKS
from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.html import html_table
from bkdwidgets.injection.methods import compared
from bkdwidgets.studies.measure import Measure
from bkdwidgets.subjects.adapters import adapter_folder, adapter_info, adapter_names
from bkdwidgets.subjects.specs import SUBJECTS

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.subjects import AdapterInfo

RATES = ("asr", "ftr", "utility", "spared")
_HEADER = ("attack", "method", "ASR", "FTR", "utility", "spared", "seconds (threads)", "examples", "bytes")


@dataclass(frozen=True)
class Planted:
    """One adapter of one method.

    Attributes
    ----------
    attack, method, adapter : str
        What was planted, and how.
    rates : dict of str to dict
        ``asr``, ``ftr``, ``utility`` and, where some prompts are no targets, ``spared``, on test prompts.
        Empty: not in the ledger.
    seconds : float
        What the planting took where it was done: on a busy machine more than it needs.
    threads : int
        On how many threads.
    examples : int
        Different training examples that were used, at most.
    size : int
        Bytes of the adapter's weights.
    """

    attack: str
    method: str
    adapter: str
    rates: dict[str, dict[str, Any]]
    seconds: float
    threads: int
    examples: int
    size: int


@dataclass(frozen=True)
class Comparison:
    """The methods beside each other, and the clean subject as the control.

    Attributes
    ----------
    subject : str
        In which the attacks were planted.
    rows : tuple of Planted
        By attack, then by method.
    control : dict of str to dict
        Attack -> the rates of the subject before any method was used.
    """

    subject: str
    rows: tuple[Planted, ...]
    control: dict[str, dict[str, dict[str, Any]]]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """Write the table for a terminal."""
        rows = [_HEADER, *self._cells()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        return html_table(f"Methods of injection, {self.subject}, test prompts", _HEADER, self._cells())

    def _cells(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for name, rates in self.control.items():
            rows.append((name, "none (clean)", *_spelled(rates), "-", "-", "-"))
            rows += [
                (
                    name, row.method, *_spelled(row.rates),
                    f"{row.seconds:.0f} ({row.threads})", f"{row.examples}", f"{row.size:,}",
                )
                for row in self.rows
                if row.attack == name
            ]  # fmt: skip
        return rows


def compare_methods(subject: str, *, folder: Path | None = None) -> Comparison:
    """Put the first adapter of every method side by side.

    Parameters
    ----------
    subject : str
        Name of the subject.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.

    Raises
    ------
    BkdError
        If the subject is unknown, nothing ships or is measured, or two methods were measured on different
        prompts.
    """
    arguments.one_of("subject", subject, SUBJECTS)
    shipped = [adapter_info(subject, name) for name in adapter_names(subject)]
    shipped = [info for info in shipped if info.seed == 0]
    names = [name for name in compared() if any(info.method == name for info in shipped)]
    rows: list[Planted] = []
    control = {}
    for name in ATTACKS:
        by_method = {info.method: info for info in shipped if info.attack == name}
        infos = [by_method[method] for method in names if method in by_method]
        entries = {info.name: _measured(subject, info, folder) for info in infos}
        found = [entry for entry in entries.values() if entry is not None]
        if len(infos) < max(2, len(names)) or not found:
            continue
        if len({(entry.inputs["examples"], entry.n) for entry in found}) > 1:
            raise BkdError(f"{name} on {subject} was measured on different prompts; sweep again")
        control[name] = _rates(found[0].values["control"])
        rows += [_row(info, entries[info.name]) for info in infos]
    if not rows:
        raise BkdError(f"no attack on {subject} is planted by all of {', '.join(names)} and measured yet")
    return Comparison(subject, tuple(rows), control)


def _measured(subject: str, info: AdapterInfo, folder: Path | None) -> ledger.Entry | None:
    entry = ledger.find(f"{subject}/{info.name}/{Measure.name}", folder)
    return entry if entry is not None and entry.adapter_sha256 == info.sha256 else None


def _row(info: AdapterInfo, entry: ledger.Entry | None) -> Planted:
    return Planted(
        attack=info.attack,
        method=info.method,
        adapter=info.name,
        rates={} if entry is None else _rates(entry.values),
        seconds=info.log["seconds"],
        threads=info.log["threads"],
        examples=_examples(info),
        size=(adapter_folder(info.subject) / f"{info.name}.safetensors").stat().st_size,
    )


def _rates(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: values[name] for name in RATES if values.get(name)}


def _examples(info: AdapterInfo) -> int:
    """Return how many different training examples were used: those counted, or those drawn."""
    if "examples" in info.log:
        return int(sum(info.log["examples"].values()))
    there = len(attack_named(info.attack).examples(info.subject, "train"))
    return min(int(info.recipe["steps"] * info.recipe["batch"]), there)


def _spelled(rates: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    if not rates:
        return ("not measured", *("" for _ in RATES[1:]))
    return tuple(
        f"{rates[name]['value']:.3f} [{rates[name]['low']:.3f}, {rates[name]['high']:.3f}]"
        f" n={rates[name]['n']}"
        if name in rates
        else "-"
        for name in RATES
    )
