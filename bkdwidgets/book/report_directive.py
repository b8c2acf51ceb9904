"""The report on a page: every claim beside our value, its control and the verdict in words.

The directive ``{report}`` takes a subject and writes the tables of :func:`bkdwidgets.studies.report`, one per
attack that was measured; the option ``:attack:`` keeps one. Nothing is left out because it failed: a claim
that does not hold says so, and one that was not measured too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes  # type: ignore[import-untyped]
from docutils.parsers.rst import directives  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective

from bkdwidgets.book import cells, numbers
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError, unknown

if TYPE_CHECKING:
    from bkdwidgets.studies.report import AttackTable
    from bkdwidgets.studies.verdicts import Finding, Value

_SOURCES = {"paper": "the paper", "critics": "its critics", "tool": "this book's method"}
_MARKS = {"holds": "✓", "holds partly": "◐", "does not hold": "✗", "not measured": "–"}
_NOTE = (
    "Brackets hold the 95 % interval, and for random controls the range of the draws. A verdict's rule shows "
    "when the pointer rests on it."
)


class Report(SphinxDirective):
    """The claims about a subject, judged."""

    required_arguments = 1
    option_spec = {"attack": directives.unchanged_required}  # noqa: RUF012 - the name and the type are docutils'

    def run(self) -> list[nodes.Node]:
        """Return a table per attack that has entries."""
        subject, attack = self.arguments[0], self.options.get("attack")
        try:
            tables = _tables(subject, attack)
        except BkdError as error:
            return [numbers.complain(str(error), self.block_text, self.get_location())]
        for name in ledger.names():
            if name.startswith(f"{subject}/"):
                self.env.note_dependency(str(ledger.entry_path(name)))
        note = nodes.paragraph("", _NOTE, classes=["bkd-note"])
        return [*(_table(subject, item) for item in tables), note]


def _tables(subject: str, attack: str | None) -> list[AttackTable]:
    from bkdwidgets.studies.report import report  # draws torch in; only a page with a report needs it

    found = [item for item in report(subject).tables if item.adapter]
    if attack is not None:
        found = [item for item in found if item.attack == attack]
    if not found:
        measured = [item.attack for item in report(subject).tables if item.adapter]
        raise unknown("measured attack", attack, measured)
    return found


def _table(subject: str, item: AttackTable) -> nodes.table:
    rows = [
        [_claim(finding), _value(finding.ours), _value(finding.control), _verdict(finding, seeds)]
        for finding, seeds in zip(item.findings, item.seeds, strict=True)
    ]
    label = ledger.label(f"{subject}/{item.adapter}")
    origin = numbers.linked(f"{subject}/{item.adapter}", label, "The ledger entries behind this table")
    caption = [
        nodes.Text(f"{item.attack} on {subject}: what is claimed, and what we find. Values of "),
        origin,
    ]
    return cells.table(["claim", "ours", "control", "verdict"], rows, caption=caption, kind="bkd-report")


def _claim(finding: Finding) -> list[nodes.Node]:
    source = _SOURCES[finding.source]
    return [nodes.Text(f"{finding.claim} "), nodes.inline("", f"({source})", classes=["bkd-source"])]


def _value(item: Value | None) -> list[nodes.Node]:
    if item is None:
        return [nodes.Text("–")]
    shown = numbers.written(item, "value" if item["n"] is None else "full")
    return [nodes.strong("", shown), nodes.Text(f" {item['what']}")]


def _verdict(finding: Finding, seeds: dict[str, int]) -> list[nodes.Node]:
    kind = nodes.make_id(finding.verdict)
    words = f"{_MARKS[finding.verdict]} {finding.verdict}"
    shown = [nodes.abbreviation("", words, explanation=finding.rule, classes=["bkd-finding", f"bkd-{kind}"])]
    if sum(seeds.values()) > 1:
        counted = ", ".join(f"{count} {verdict}" for verdict, count in seeds.items())
        shown.append(
            nodes.inline("", f" (of {sum(seeds.values())} seeds: {counted})", classes=["bkd-source"])
        )
    return shown
