"""What came of computing ledger entries again on other machines.

The directive ``{reproduced}`` writes one table per file below ``data/reproduced``, in the form of
``bkdwidgets reproduce --json``, one machine each: a row for each subject and study.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

from bkdwidgets.book import cells, numbers
from bkdwidgets.core.paths import data_dir

if TYPE_CHECKING:
    from pathlib import Path

    from docutils import nodes  # type: ignore[import-untyped]

_HEADER = ("subject and study", "entries", "within their tolerance", "numbers compared", "largest difference")


class Reproduced(SphinxDirective):
    """Entries computed again, by machine."""

    def run(self) -> list[nodes.Node]:
        """Return a table per machine."""
        files = sorted((data_dir() / "reproduced").glob("*.json"))
        for file in files:
            self.env.note_dependency(str(file))
        return [self._table(file) for file in files]

    def _table(self, file: Path) -> nodes.table:
        run = json.loads(file.read_text(encoding="utf-8"))
        machine = run["machine"]
        where = machine.get("gpu") or machine["processor"]
        caption = f"{where}, torch {machine['torch']}, {run['date']}, code at {run['commit']}"
        return cells.table(_HEADER, summary(run), caption=caption, kind="bkd-entries")


def summary(run: dict[str, Any]) -> list[list[str]]:
    """Return a row per subject and study: how many entries, how many within, how far off at most.

    Parameters
    ----------
    run : dict
        The output of ``bkdwidgets reproduce --json``. An entry that could not be computed counts as one
        that is not within.
    """
    found = defaultdict(list)
    for entry in run["entries"]:
        found[_row_of(entry["name"])].append(entry)
    for name in run["broken"]:
        found[_row_of(name)].append({"within": False, "compared": 0, "worst": float("inf")})
    return [
        [
            row,
            str(len(entries)),
            str(sum(entry["within"] for entry in entries)),
            numbers.plain(sum(entry["compared"] for entry in entries)),
            f"{max(entry['worst'] for entry in entries):.2f} of what is allowed",
        ]
        for row, entries in sorted(found.items())
    ]


def _row_of(name: str) -> str:
    subject, _, rest = name.partition("/")
    return f"{subject}, {rest.rpartition('/')[2]}"
