"""The report: every claim beside our value, its control and a verdict, read from the ledger alone."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import asdict, dataclass
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import PAPER
from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.html import html_table
from bkdwidgets.injection.methods import PAPER_METHOD
from bkdwidgets.studies.claims import CLAIMS
from bkdwidgets.studies.family import family_name
from bkdwidgets.studies.registry import studies
from bkdwidgets.subjects.specs import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bkdwidgets.studies.verdicts import Finding, Value

_WIDTHS = (40, 38, 38, 22)


@dataclass(frozen=True)
class AttackTable:
    """One attack's claims.

    Attributes
    ----------
    attack : str
        The attack.
    adapter : str or None
        Whose values are shown, the adapter of the smallest seed; None: nothing in the ledger.
    findings : tuple of Finding
        One per claim.
    seeds : tuple of dict
        Per claim: verdict -> number of adapters with that verdict.
    """

    attack: str
    adapter: str | None
    findings: tuple[Finding, ...]
    seeds: tuple[dict[str, int], ...]


@dataclass(frozen=True)
class Report:
    """All claims about one subject, a table per attack."""

    subject: str
    tables: tuple[AttackTable, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """Write the tables for a terminal."""
        return "\n\n".join(_text(self.subject, table) for table in self.tables)

    def _repr_html_(self) -> str:
        return "".join(_html(self.subject, table) for table in self.tables)


def report(subject: str, *, folder: Path | None = None) -> Report:
    """Judge every claim about a subject from its ledger entries.

    Parameters
    ----------
    subject : str
        Name of the subject.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.

    Raises
    ------
    BkdError
        If the subject is unknown, or an entry is damaged.
    """
    arguments.one_of("subject", subject, SUBJECTS)
    folder = arguments.folder("folder", folder)
    entries = [ledger.read(name, folder) for name in ledger.names(folder) if name.split("/")[0] == subject]
    tables = tuple(_table(attack, [item for item in entries if item.attack == attack]) for attack in PAPER)
    return Report(subject, tables)


def _table(attack: str, entries: Sequence[ledger.Entry]) -> AttackTable:
    by_adapter: dict[str, dict[str, ledger.Entry]] = {}
    own = [entry for entry in entries if entry.method == PAPER_METHOD]  # the claims are about that one
    for entry in sorted(own, key=lambda item: (item.seed, item.adapter)):
        by_adapter.setdefault(entry.adapter, {})[entry.study] = entry
    derived = {name for name, item in studies().items() if item.scope == "derived"}
    family = family_name(attack, PAPER_METHOD)
    of_all = {entry.study: entry for entry in entries if entry.study in derived and entry.adapter == family}
    for of_adapter in by_adapter.values():
        of_adapter.update(of_all)
    judged = [[claim.finding(of_adapter) for claim in CLAIMS] for of_adapter in by_adapter.values()]
    shown = judged[0] if judged else [claim.finding({}) for claim in CLAIMS]
    by_seed = tuple(dict(Counter(row[number].verdict for row in judged)) for number in range(len(CLAIMS)))
    return AttackTable(attack, next(iter(by_adapter), None), tuple(shown), by_seed)


def _cells(finding: Finding, verdicts: dict[str, int]) -> tuple[str, str, str, str]:
    n_seeds = sum(verdicts.values())
    verdict = finding.verdict
    if n_seeds > 1:
        verdict += " (" + ", ".join(f"{count} of {n_seeds} {name}" for name, count in verdicts.items()) + ")"
    return f"{finding.claim} [{finding.source}]", _value(finding.ours), _value(finding.control), verdict


def _value(item: Value | None) -> str:
    if item is None:
        return "-"
    if item["n"] is None:  # a constant
        return f"{item['value']:.3f} {item['what']}"
    return f"{item['value']:.3f} [{item['low']:.3f}, {item['high']:.3f}] n={item['n']} {item['what']}"


def _title(subject: str, table: AttackTable) -> str:
    if table.adapter is None:
        return f"{table.attack} on {subject}: nothing in the ledger"
    return f"{table.attack} on {subject}, values of {table.adapter}"


def _text(subject: str, table: AttackTable) -> str:
    if table.adapter is None:
        return _title(subject, table)
    rows = [("claim", "ours", "control", "verdict")]
    rows += [_cells(*pair) for pair in zip(table.findings, table.seeds, strict=True)]
    rule = "  ".join("-" * width for width in _WIDTHS)
    lines = [_title(subject, table), rule]
    for row in rows:
        wrapped = [textwrap.wrap(cell, width) for cell, width in zip(row, _WIDTHS, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, _WIDTHS, strict=True))
            lines.append("  ".join(padded).rstrip())
        lines.append(rule)
    return "\n".join(lines)


def _html(subject: str, table: AttackTable) -> str:
    if table.adapter is None:
        return f"<p>{escape(_title(subject, table))}</p>"
    rows = (_cells(*pair) for pair in zip(table.findings, table.seeds, strict=True))
    return html_table(_title(subject, table), ("claim", "ours", "control", "verdict"), rows)
