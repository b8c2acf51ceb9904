"""The reproducibility appendix: every entry of the ledger with the command that computes it.

The directive ``{ledger-entries}`` writes one section per subject and one table per adapter when the book is
built. Each row is the target of the links that numbers in the text carry.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective

from bkdwidgets.book import cells, numbers
from bkdwidgets.core import ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = ("study", "prompts", "computed", "took", "command")


class LedgerEntries(SphinxDirective):
    """All entries of the ledger."""

    def run(self) -> list[nodes.Node]:
        """Return a section per subject."""
        entries = [numbers.read_entry(self.env, name) for name in ledger.names()]
        return [
            self._subject(subject, list(group))
            for subject, group in groupby(entries, key=lambda item: item.subject)
        ]

    def _subject(self, subject: str, entries: Iterable[ledger.Entry]) -> nodes.section:
        section = nodes.section("", nodes.title("", subject), ids=[ledger.label(subject)])
        for adapter, group in groupby(entries, key=lambda item: item.adapter):
            section += self._adapter(f"{subject}/{adapter}", list(group))
        return section

    def _adapter(self, name: str, entries: list[ledger.Entry]) -> nodes.table:
        table = cells.table(
            _HEADER, [self._cells(entry) for entry in entries], caption=name, kind="bkd-entries"
        )
        self._label(table, name)
        for row, entry in zip(table.findall(nodes.tbody).__next__(), entries, strict=True):
            self._label(row[0], entry.name)
        return table

    def _label(self, node: nodes.Element, name: str) -> None:
        """Make a node the target of an entry's, or an adapter's, label."""
        label = ledger.label(name)
        node["ids"].append(label)
        self.env.get_domain("std").anonlabels[label] = self.env.docname, label  # type: ignore[attr-defined]

    def _cells(self, entry: ledger.Entry) -> list[cells.Cell]:
        run = entry.run
        code = (
            f"{run.get('version', '?')} at {run.get('commit', '?')}, {run.get('device', '?')}, "
            f"judge {entry.judge}"
        )
        return [
            entry.study,
            f"n = {entry.n}, {entry.split}, seed {entry.seed}",
            [nodes.Text(f"{run.get('date', '?')}, "), nodes.inline("", code, classes=["bkd-source"])],
            duration(run.get("seconds")),
            [nodes.literal("", run.get("command", "?"))],
        ]


def duration(seconds: float | None) -> str:
    """Write a time taken for people.

    Examples
    --------
    >>> duration(0.4), duration(59.6), duration(1090.3), duration(7300), duration(None)
    ('under a second', '60 s', '18 min', '2.0 h', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 1:
        return "under a second"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
