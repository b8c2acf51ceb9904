"""HTML of plain values: whatever text they carry is written as text."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

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


def script_json(value: Any) -> str:
    r"""Write JSON that may stand inside a ``<script>`` element, whatever text it carries.

    Parameters
    ----------
    value : object
        Anything `json` can write.

    Returns
    -------
    str
        The JSON, with each ``<`` as ``\u003c``.

    Examples
    --------
    >>> script_json({"text": "</script><b>"})
    '{"text":"\\u003c/script>\\u003cb>"}'
    """
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _row(cells: Iterable[object], *, named: bool) -> str:
    listed = list(cells)
    first = int(named)
    return _cells(listed[:first], "th") + _cells(listed[first:], "td")


def _cells(cells: Iterable[object], tag: str) -> str:
    return "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
