"""Numbers in prose: every result on a page is taken from the ledger when the page is built.

In MyST::

    The attack succeeds on {ledger}`smollm2/fixed-output-sft-0/measure:asr` of the held-out prompts.

becomes "0.955 [0.917, 0.976], n = 200", with the entry's name, command and date on hover and a link to the
entry in the reproducibility appendix. What stands before the colon is the entry, what stands behind it an
address in its values (:meth:`bkdwidgets.core.ledger.Entry.value`); ``ranked.0`` is the first item of a list,
and ``n``, ``seed``, ``split``, ``settings.<name>`` and ``run.<name>`` say how the entry was computed.

A form may follow: ``as value`` (the number alone), ``as interval`` (without n), ``as percent``
("95.5 %"). A value over random draws, seeds or pairs says so, and shows their range instead of an interval.

The directive ``{ledger-table}`` makes a table::

    ```{ledger-table} What the attack does. The control is the clean model.
    :entry: smollm2/fixed-output-sft-0/measure
    | rate | backdoored | control      |
    | ASR  | :asr       | :control.asr |
    ```

An unknown entry, address or form is a warning, which fails the book's build, and names what is known. The
entry's file is a dependency of the page: after a new sweep the page is built again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes  # type: ignore[import-untyped]
from docutils.parsers.rst import directives  # type: ignore[import-untyped]
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from bkdwidgets.book import cells
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)

FORMS = ("full", "value", "interval", "percent")
_REFERENCE = re.compile(r"(?P<name>[^:\s|]*):(?P<address>[^\s|]+?)(?:\s+as\s+(?P<form>\S+))?")
_WHOLE = re.compile(r"\[[^\]]*\]|n = [\d,]+")
_REPEATS = {"per_draw": "draws", "per_seed": "seeds", "pairs": "pairs"}
"""What a value was repeated over -> the word for it; its ``low`` and ``high`` are then a range."""


class LedgerRole(SphinxRole):
    """A value of the ledger in the text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number, or the text as it stands and a warning."""
        try:
            return [number(self.env, *parsed(self.text))], []
        except BkdError as error:
            return [complain(str(error), self.rawtext, self.get_location())], []


class LedgerTable(SphinxDirective):
    """Values of the ledger as a table."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = {"entry": directives.unchanged_required}  # noqa: RUF012 - the name and the type are docutils'

    def run(self) -> list[nodes.Node]:
        """Return the table; a cell that can not be filled is a warning."""
        try:
            header, *body = table_rows(self.content)
        except BkdError as error:
            return [complain(str(error), self.block_text, self.get_location())]
        caption = self.parse_inline(self.arguments[0])[0] if self.arguments else ""
        filled = [[self._cell(cell) for cell in row] for row in body]
        return [cells.table(header, filled, caption=caption, kind="bkd-ledger-table")]

    def _cell(self, cell: str) -> list[nodes.Node]:
        if not is_reference(cell):
            return list(self.parse_inline(cell)[0])
        try:
            return [number(self.env, *parsed(cell, self.options.get("entry", "")))]
        except BkdError as error:
            return [complain(str(error), cell, self.get_location())]


def table_rows(lines: Iterable[str]) -> list[list[str]]:
    """Return the cells of a ``{ledger-table}``, its header first.

    Examples
    --------
    >>> table_rows(["| rate | ours |", "| ASR  | :asr |"])
    [['rate', 'ours'], ['ASR', ':asr']]
    """
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line]
    if len(rows) < 2 or len({len(row) for row in rows}) != 1:
        raise BkdError("a ledger-table has a header and rows of the same length, with cells between |")
    return rows


def is_reference(cell: str) -> bool:
    """Say whether a cell of a table names a value; others hold text."""
    return _REFERENCE.fullmatch(cell) is not None


def parsed(text: str, entry: str = "") -> tuple[str, str, str]:
    """Split ``entry:address as form`` into its three parts.

    Parameters
    ----------
    text : str
        As in the prose.
    entry : str
        Entry of a text that names none.

    Examples
    --------
    >>> parsed("nano/fixed-output-sft-0/measure:asr as percent")
    ('nano/fixed-output-sft-0/measure', 'asr', 'percent')
    >>> parsed(":ftr", "nano/fixed-output-sft-0/measure")
    ('nano/fixed-output-sft-0/measure', 'ftr', 'full')
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        raise BkdError(
            f"{text!r} names no value; it looks like subject/adapter/study:address, then perhaps 'as value'"
        )
    form = match["form"] or FORMS[0]
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    return match["name"] or entry, match["address"], form


def written(found: dict[str, Any], form: str = "full") -> str:
    """Write a value for people.

    Parameters
    ----------
    found : dict
        ``"value"``, and for a measured one ``"low"``, ``"high"`` and ``"n"``.
    form : {"full", "value", "interval", "percent"}
        See the module's text.

    Examples
    --------
    >>> written({"value": 0.955, "low": 0.9167, "high": 0.9761, "n": 200})
    '0.955 [0.917, 0.976], n = 200'
    >>> written({"value": 0.955, "low": 0.9167, "high": 0.9761, "n": 200}, "percent")
    '95.5 %'
    >>> written({"value": -0.5})
    '−0.5'
    """
    value, measured = found["value"], "low" in found
    if form == "percent":
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise BkdError(f"{value!r} is not a share, so it has no percentage")
        return f"{100 * value:.3g} %"
    if form == "interval" and not measured:
        raise BkdError(f"{value!r} has no interval; write 'as value'")
    alone = plain(value, exact=measured)
    if form == "value" or not measured:
        return alone
    low, high = (plain(found[end], exact=True) for end in ("low", "high"))
    repeated = next((key for key in _REPEATS if key in found), None)
    if repeated is None:
        return f"{alone} [{low}, {high}]" + (f", n = {plain(found['n'])}" if form == "full" else "")
    times = found["n"] if repeated == "pairs" else len(found[repeated])
    size = f"; n = {plain(found['n'])}" if form == "full" and repeated == "per_draw" else ""
    return f"{alone} ({times} {_REPEATS[repeated]}, {low} to {high}{size})"


def plain(value: float | str, *, exact: bool = False) -> str:
    """Write one number: measured ones with three decimals, others with three digits.

    Examples
    --------
    >>> plain(12), plain(2603940), plain(0.0210), plain(0.5, exact=True), plain(-0.0001, exact=True)
    ('12', '2,603,940', '0.021', '0.500', '0.000')
    """
    if isinstance(value, (str, bool)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        text = f"{value:,.0f}"
    else:
        # adding 0 takes the sign off a zero
        text = f"{round(value, 3) + 0.0:.3f}" if exact and abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")


def read_entry(env: BuildEnvironment, name: str) -> ledger.Entry:
    """Read an entry for the page that is being built.

    Raises
    ------
    BkdError
        If there is none of that name; names those that are near.
    """
    env.note_dependency(str(ledger.entry_path(name)))
    return ledger.published(name)


def number(env: BuildEnvironment, name: str, address: str, form: str) -> nodes.Node:
    """Return a number with where it came from: on hover, and as a link."""
    entry = read_entry(env, name)
    shown = written(entry.value(address), form)
    origin_parts = (entry.run[key] for key in ("command", "date") if key in entry.run)
    origin = "; ".join([f"{entry.name}: {address}, {entry.split} prompts", *origin_parts])
    return linked(shown, ledger.label(name), origin)


def linked(text: str, label: str, origin: str) -> nodes.Node:
    """Return text that names its origin on hover and links to a label."""
    link = addnodes.pending_xref(
        "", nodes.inline("", _breakable(text)),
        refdomain="std", reftype="ref", reftarget=label, refexplicit=True, refwarn=True,
    )  # fmt: skip
    return nodes.abbreviation("", "", link, explanation=origin, classes=["bkd-number"])


def _breakable(text: str) -> str:
    """Return text that a line may end in between a value, its interval and its n, but in none of them."""
    return _WHOLE.sub(lambda part: part[0].replace(" ", "\u00a0"), text)


def complain(message: str, rawtext: str, location: str) -> nodes.Node:
    """Warn, and return the text as it was written."""
    logger.warning(message, location=location, type="bkd", subtype="number")
    return nodes.literal("", rawtext)
