"""Compute a ledger entry again and say whether it comes out the same.

Each study states its tolerance: patterns of addresses, and how far a number at such an address may be
off. Another machine adds floats in another order; a greedy answer that hangs on a near tie then turns
out differently, and a rate moves by 1 / n. Anything beyond that means that code, data or weights changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import attack
from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.methods import methods
from bkdwidgets.studies.family import family_info, family_name
from bkdwidgets.studies.registry import study
from bkdwidgets.studies.run import run
from bkdwidgets.studies.study import DerivedStudy, cached_load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMED = 6
_SLACK = 1e-9  # for rounding in the comparison itself


@dataclass(frozen=True)
class Reproduction:
    """An entry computed again.

    Attributes
    ----------
    name : str
        The entry.
    within : bool
        True if every compared number lies within its tolerance.
    compared : int
        Numbers compared.
    outside : tuple of str
        One line per number that does not.
    worst : float
        Largest difference, in units of its tolerance (in itself where the tolerance is zero).
    changed : tuple of str
        What the entry was computed from and is no longer the same: examples, control, other entries, and
        the revisions of the study and of the rules of the outcome.
    seconds : float
        Time taken, as the entry counts it.
    """

    name: str
    within: bool
    compared: int
    outside: tuple[str, ...]
    worst: float
    changed: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "outside": list(self.outside), "changed": list(self.changed)}


def reproduce(
    name: str, *, device: str | None = None, folder: Path | None = None, progress: bool = True
) -> Reproduction:
    """Compute an entry again, with its own settings and from the entries it was computed from.

    Parameters
    ----------
    name : str
        For example ``"nano/fixed-output-sft-0/ablation"``.
    device : str, optional
        Torch device.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.
    progress : bool
        Show progress bars.

    Raises
    ------
    BkdError
        If the entry is missing or damaged, or its adapter is not there or is another one.
    """
    folder = arguments.folder("folder", folder)
    arguments.flag("progress", progress)
    entry = ledger.read(name, folder)
    again = _recomputed(entry, device, folder, progress=progress)
    differences = _differences(entry, again)
    return Reproduction(
        name=name,
        within=bool(differences) and all(not item.message for item in differences),
        compared=len(differences),
        outside=tuple(item.message for item in differences if item.message),
        worst=max((item.size for item in differences), default=0.0),
        changed=_changed(entry, again),
        seconds=again.run.get("seconds", 0.0),
    )


def _changed(entry: ledger.Entry, again: ledger.Entry) -> tuple[str, ...]:
    changed = [key for key in entry.inputs if entry.inputs[key] != again.inputs.get(key)]
    if entry.revision != again.revision:
        changed.append(f"the study, revision {entry.revision} then and {again.revision} now")
    if entry.judge != again.judge:
        changed.append(f"rules of the outcome, revision {entry.judge} then and {again.judge} now")
    return tuple(changed)


def _recomputed(
    entry: ledger.Entry, device: str | None, folder: Path | None, *, progress: bool
) -> ledger.Entry:
    chosen = study(entry.study)
    if isinstance(chosen, DerivedStudy):
        return chosen.derive(entry.subject, entry.attack, _method_of(entry), folder)
    adapter = entry.adapter if chosen.scope == "adapter" else None
    subject = cached_load(entry.subject, adapter, device, entry.run.get("dtype", "float32"))
    info = subject.adapter or family_info(subject, attack(entry.attack))
    if info.sha256 != entry.adapter_sha256:
        raise BkdError(
            f"{entry.name} was computed from adapter {entry.adapter_sha256[:12]}..., "
            f"{entry.adapter!r} is now {info.sha256[:12]}...; sweep again"
        )
    inputs = {
        needed: ledger.read(f"{entry.subject}/{entry.adapter}/{needed}", folder) for needed in chosen.needs
    }
    return run(entry.study, subject, attack(entry.attack), inputs=inputs, progress=progress, **entry.settings)


def _method_of(entry: ledger.Entry) -> str:
    """Return the method of the family that a derived entry is about."""
    for method in methods():
        if family_name(entry.attack, method) == entry.adapter:
            return method
    raise BkdError(f"{entry.name} is about {entry.adapter!r}, and no known method is called so")


def chosen_names(start: str | None, *, folder: Path | None = None) -> list[str]:
    """Return the entries whose name is, or begins with the parts of, `start`; all of them for None.

    Examples
    --------
    >>> chosen_names("nano/fixed-output-sft-0")  # doctest: +SKIP
    ['nano/fixed-output-sft-0/ablation', 'nano/fixed-output-sft-0/attribute', ...]

    Raises
    ------
    BkdError
        If there is none.
    """
    known = ledger.names(folder)
    if start is None:
        chosen = known
    else:
        parts = start.strip("/").split("/")
        chosen = [name for name in known if name.split("/")[: len(parts)] == parts]
    if not chosen:
        some = ", ".join(known[:_NAMED]) + (", ..." if len(known) > _NAMED else "")
        raise BkdError(f"no ledger entry begins with {start or ''!r}; known: {some or 'none'}")
    return chosen


@dataclass(frozen=True)
class _Difference:
    size: float
    message: str


def _differences(entry: ledger.Entry, again: ledger.Entry) -> list[_Difference]:
    """Compare every stored number that has a tolerance."""
    found = dict(_numbers(again.values))
    compared = []
    for address, stored in _numbers(entry.values):
        allowed = _allowed(entry.tolerance, address)
        if allowed is not None:
            compared.append(_difference(address, stored, found.get(address), allowed))
    return compared


def _difference(address: str, stored: float, now: float | None, allowed: float) -> _Difference:
    if now is None:
        return _Difference(0.0, f"{address}: stored {stored:g}, now nothing")
    off = abs(now - stored)
    size = off / allowed if allowed else off
    if off <= allowed + _SLACK:
        return _Difference(size, "")
    return _Difference(size, f"{address}: stored {stored:g}, now {now:g}, allowed {allowed:g}")


def _allowed(tolerance: dict[str, float], address: str) -> float | None:
    """Return the tolerance of the first pattern that fits an address, or None if none does."""
    return next((allowed for pattern, allowed in tolerance.items() if fnmatchcase(address, pattern)), None)


def _numbers(item: Any, address: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number below `item` with its dotted address."""
    if isinstance(item, dict):
        children: Any = item.items()
    elif isinstance(item, list):
        children = enumerate(item)
    else:
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            yield address, float(item)
        return
    for key, child in children:
        yield from _numbers(child, f"{address}.{key}" if address else str(key))
