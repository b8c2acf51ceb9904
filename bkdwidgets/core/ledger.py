"""The ledger: every published number, with where it came from.

One JSON file per result, ``data/ledger/<subject>/<adapter>/<study>.json``. ``bkdwidgets sweep`` writes
them, ``bkdwidgets reproduce`` computes them again. ``bkdwidgets report``, the book and the tables its labs
answer from read their numbers from here and from nowhere else.

A number is addressed by the entry's name and a dotted path into its values::

    ledger.value("nano/fixed-output-sft-0/ablation", "zero.last.8.asr")["value"]

Equal entries give equal bytes, so that a changed number is one changed line.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.errors import BkdError, DamagedError, MissingError, shown, unknown
from bkdwidgets.core.html import html_table
from bkdwidgets.core.paths import data_dir, is_name, written_beside
from bkdwidgets.core.schema import json_object, typed

if TYPE_CHECKING:
    from pathlib import Path

_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One published result.

    Attributes
    ----------
    subject, adapter, study : str
        What was studied, what was planted in it, and how it was studied; together the name.
    revision : int
        Of the study: raised when its code gives other numbers.
    adapter_sha256 : str
        Hash of the adapter's weights.
    attack : str
        The planted attack.
    method : str or None
        How the adapter was injected; None for what is about no single adapter: a family, or other entries.
    seed : int
        Seed of the injection.
    split : str
        Split of the prompts that the reported values come from.
    n : int
        Prompts behind the main values; every rate carries its own n as well.
    settings : dict
        Every setting of the study.
    inputs : dict
        Digest of the examples, of the control, and of every other entry that this one was computed from.
    values : dict
        The result. A rate is ``{"value", "low", "high", "n"}``.
    tolerance : dict
        Pattern of addresses -> largest absolute difference that ``reproduce`` accepts. What matches no
        pattern is not compared.
    run : dict
        Version, commit, device, dtype, threads, torch, seconds, layer_tokens, date, command, judge.
    """

    subject: str
    adapter: str
    study: str
    revision: int = 1
    adapter_sha256: str
    attack: str
    method: str | None = None
    seed: int
    split: str
    n: int
    settings: dict[str, Any]
    inputs: dict[str, str]
    values: dict[str, Any]
    tolerance: dict[str, int | float]  # a whole number stays one: equal entries give equal bytes
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path-like name, ``subject/adapter/study``."""
        return f"{self.subject}/{self.adapter}/{self.study}"

    @property
    def judge(self) -> int:
        """Revision of the rules that judged its completions; the oldest entries do not name it."""
        return int(self.run.get("judge", 1))

    def value(self, address: str) -> dict[str, Any]:
        """Return the value at a dotted address as a dict with ``"value"``.

        A rate also has ``"low"``, ``"high"`` and ``"n"``. ``ranked.0`` is the first item of a list; ``n``,
        ``seed``, ``split``, ``settings.<name>`` and ``run.<name>`` say how the entry was computed.

        Raises
        ------
        BkdError
            If nothing stands there, or something that is not one value.
        """
        about = {key: getattr(self, key) for key in ("n", "seed", "split", "settings", "run")}
        found: Any = about | self.values
        for key in address.split("."):
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                raise BkdError(f"{self.name} has no value {address!r}: no {key!r}; known: {_known(found)}")
        if isinstance(found, dict) and "value" in found:
            return found
        if isinstance(found, (int, float, str)):
            return {"value": found}
        raise BkdError(f"{self.name}: {address!r} is not one value; known below it: {_known(found)}")

    def digest(self) -> str:
        """Return a hash of the values, by which later entries name what they were computed from."""
        return digest(self.values)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, the name first."""
        return {"name": self.name, **asdict(self)}

    def __repr__(self) -> str:
        """Name it."""
        return f"Entry({self.name}, {self.split}, n = {self.n}, judge {self.judge})"

    def _repr_html_(self) -> str:
        rows = (
            (address, f"{rate['value']:.3f}", f"{rate['low']:.3f} to {rate['high']:.3f}", rate["n"])
            for address, rate in rates(self.values)
        )
        caption = f"{self.name}, {self.split} prompts, judged by rules of revision {self.judge}"
        return html_table(caption, ("rate", "value", "interval", "n"), rows)


def entry_path(name: str, folder: Path | None = None) -> Path:
    """Return the file of an entry; `folder` replaces ``data/ledger``."""
    parts = name.split("/") if isinstance(name, str) else []
    if len(parts) != 3 or not all(map(is_name, parts)):
        raise BkdError(
            f"{shown(name)} is not the name of a ledger entry; it looks like subject/adapter/study"
        )
    subject, adapter, study = parts
    return _home(folder) / subject / adapter / f"{study}.json"


def names(folder: Path | None = None) -> list[str]:
    """Return the names of all entries, sorted."""
    home = _home(folder)
    return sorted(
        path.relative_to(home).with_suffix("").as_posix()
        for path in home.glob("*/*/*.json")
        if not path.name.startswith(".")
    )


def read(name: str, folder: Path | None = None) -> Entry:
    """Return an entry by name.

    Raises
    ------
    MissingError
        If there is none of that name.
    DamagedError
        If its file is damaged.
    """
    path = entry_path(name, folder)
    try:
        stored = json_object(path.read_bytes())
        named = stored.pop("name", None)
        entry = typed(stored, Entry)
    except FileNotFoundError as error:
        subject, adapter, study = name.split("/")
        raise MissingError(
            f"no ledger entry {name!r}; compute it: "
            f"bkdwidgets sweep {subject} --adapter {adapter} --study {study}"
        ) from error
    except (OSError, ValueError) as error:
        raise DamagedError(f"ledger entry {path} is damaged ({error}); restore it or sweep again") from error
    if not named == entry.name == name:
        raise DamagedError(f"ledger entry {path} calls itself {named!r}; restore it or sweep again")
    return entry


def published(name: str, folder: Path | None = None) -> Entry:
    """Return an entry by name; where there is none, the error names those that are near.

    Raises
    ------
    BkdError
        If there is none of that name, or its file is damaged.
    """
    if not entry_path(name, folder).is_file():
        known = names(folder)
        raise unknown("ledger entry", name, difflib.get_close_matches(name, known, n=6, cutoff=0.5) or known)
    return read(name, folder)


def find(name: str, folder: Path | None = None) -> Entry | None:
    """Return an entry, or None if it was never computed; a damaged one is still an error."""
    return read(name, folder) if entry_path(name, folder).is_file() else None


def write(entry: Entry, folder: Path | None = None) -> Path:
    """Write an entry and return its file; equal entries give equal bytes."""
    path = entry_path(entry.name, folder)
    with written_beside(path) as beside:
        beside.write_text(text_of(entry), encoding="utf-8")
    return path


def text_of(entry: Entry) -> str:
    """Return what is written of an entry: equal entries give equal text."""
    return _text(entry.to_json()) + "\n"


def value(name: str, address: str, folder: Path | None = None) -> dict[str, Any]:
    """Return one value of an entry, ``{"value", "low", "high", "n"}`` for a rate; see :meth:`Entry.value`."""
    return read(name, folder).value(address)


def look_up(address: str) -> dict[str, Any]:
    """Return a published value, which a chapter's text names as ``subject/adapter/study:address``.

    Parameters
    ----------
    address : str
        An entry's name, a colon, and a dotted path into its values, for example
        ``"nano/fixed-output-sft-0/measure:asr"``; see :meth:`Entry.value`.

    Returns
    -------
    dict
        ``"value"``; for a measured one also ``"low"`` and ``"high"``, the ends of its 95 % interval (over
        random draws, seeds or pairs: the lowest and the highest), and ``"n"``.

    Raises
    ------
    BkdError
        If the text is no such address, or nothing stands there; names what is known.
    """
    name, colon, path = address.partition(":") if isinstance(address, str) else ("", "", "")
    if not (name and colon and path):
        raise BkdError(f"{address!r} names no value; it looks like subject/adapter/study:address")
    return published(name).value(path)


def label(name: str) -> str:
    """Return the label of an entry, or of an adapter, in the book's reproducibility appendix.

    Examples
    --------
    >>> label("nano/fixed-output-sft-0/measure")
    'ledger-nano-fixed-output-sft-0-measure'
    """
    return re.sub(r"[^a-z0-9]+", "-", f"ledger-{name}".lower()).strip("-")


def rates(values: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return every rate below `values` with its address, in order."""
    found: list[tuple[str, dict[str, Any]]] = []
    for key, item in values.items():
        if isinstance(item, dict):
            address = f"{prefix}{key}"
            is_rate = {"value", "low", "high", "n"} <= set(item)
            found += [(address, item)] if is_rate else rates(item, f"{address}.")
    return found


def significant(item: Any) -> Any:
    """Keep six digits of every number in plain values: more is noise from one machine to the next.

    Significant digits, not decimals: an effect may be tiny and still be what a ranking rests on. Only what is
    stored is rounded; what is ranked or averaged is not rounded before.

    Examples
    --------
    >>> significant({"effects": [5.3295520680706e-06, 0.2311753213], "n": 32})
    {'effects': [5.32955e-06, 0.231175], 'n': 32}
    """
    if isinstance(item, dict):
        return {str(key): significant(child) for key, child in item.items()}
    if isinstance(item, (list, tuple)):
        return [significant(child) for child in item]
    return float(f"{item:.{_DIGITS}g}") if isinstance(item, float) else item


def digest(values: object) -> str:
    """Return the SHA-256 of plain values, by their canonical JSON."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _known(found: object) -> str:
    if isinstance(found, list):
        return f"0 to {len(found) - 1}"
    return ", ".join(found) if isinstance(found, dict) else "nothing below it"


def _home(folder: Path | None) -> Path:
    return data_dir() / "ledger" if folder is None else folder


def _text(item: object, indent: int = 0) -> str:
    """Write JSON with one line per key; a list of plain values, and a rate, stay on one line."""
    inner, pad = " " * (indent + 1), " " * indent
    if isinstance(item, dict) and any(isinstance(child, (dict, list)) for child in item.values()):
        lines = (f"{inner}{json.dumps(str(key))}: {_text(child, indent + 1)}" for key, child in item.items())
        return "{\n" + ",\n".join(lines) + f"\n{pad}}}"
    if isinstance(item, list) and any(isinstance(child, (dict, list)) for child in item):
        return "[\n" + ",\n".join(inner + _text(child, indent + 1) for child in item) + f"\n{pad}]"
    return json.dumps(item, ensure_ascii=False, allow_nan=False)
