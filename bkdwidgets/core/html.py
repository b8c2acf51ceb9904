"""HTML of plain values: whatever text they carry is written as text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def html_table(
    caption: str, head: Iterable[object], rows: Iterable[Iterable[object]], *, named_rows: bool = False
) -> str:
    """Return a table for a notebook.

    Names come from files that anybody may have written and answers from a model, so every cell and the
    caption are escaped here and nowhere else.

    Parameters
    ----------
    caption : str
        What the table shows.
    head : iterable
        Names of the columns; none for a table without.
    rows : iterable of iterables
        The cells.
    named_rows : bool
        The first cell of each row is its name, and is marked as such.

    Examples
    --------
    >>> html_table("A & B", (), [["<b>"]])
    '<table><caption>A &amp; B</caption><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    names = _cells(head, "th")
    top = f"<thead><tr>{names}</tr></thead>" if names else ""
    body = "".join(f"<tr>{_row(row, named=named_rows)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption>{top}<tbody>{body}</tbody></table>"


def _row(cells: Iterable[object], *, named: bool) -> str:
    listed = list(cells)
    first = int(named)
    return _cells(listed[:first], "th") + _cells(listed[first:], "td")


def _cells(cells: Iterable[object], tag: str) -> str:
    return "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
