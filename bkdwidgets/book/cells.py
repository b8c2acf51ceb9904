"""Tables of the book's directives, as docutils nodes."""

from __future__ import annotations

from collections.abc import Sequence

from docutils import nodes  # type: ignore[import-untyped]

Cell = str | Sequence[nodes.Node]
"""What stands in a cell: text, or inline nodes."""


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    caption: Cell = "",
    kind: str = "",
) -> nodes.table:
    """Return a table; cells of the first column head their rows.

    Parameters
    ----------
    header : sequence of str
        Text of the header cells. A cell of the body gets its column's text as the class
        ``bkd-col-<text>``, by which a narrow page can label it when the rows are stacked.
    rows : sequence of sequence of str or nodes
        The body; every row as long as the header.
    caption : str or nodes
        Above the table.
    kind : str
        Class of the table.
    """
    classes = [f"bkd-col-{nodes.make_id(text)}" if text else "" for text in header]
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1, stub=int(number == 0)) for number in range(len(header))]
    group += nodes.thead("", _row(header, [""] * len(header)))
    group += nodes.tbody("", *(_row(row, classes) for row in rows))
    whole = nodes.table("", classes=["colwidths-auto", kind] if kind else ["colwidths-auto"])
    if caption:
        whole += nodes.title("", "", *inline(caption))
    whole += group
    return whole


def inline(cell: Cell) -> list[nodes.Node]:
    """Return a cell's content as inline nodes."""
    return [nodes.Text(cell)] if isinstance(cell, str) else list(cell)


def _row(cells: Sequence[Cell], classes: Sequence[str]) -> nodes.row:
    return nodes.row(
        "",
        *(
            nodes.entry("", nodes.paragraph("", "", *inline(cell)), classes=[name] if name else [])
            for cell, name in zip(cells, classes, strict=True)
        ),
    )
