"""Ways of planting: which heads they share, and what the traces of one do in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.ledger import Entry

_AGREEMENT = {
    "jaccard": "the share of their top {k} heads that two adapters have in common (Jaccard index)",
    "spearman": "the rank correlation of all heads' effects in two adapters",
}
_MOVED = {
    "off": "how often the row's adapter says the payload to triggered prompts when the vector of the "
    "column's adapter is subtracted",
    "on": "how often the row's adapter says the payload to clean prompts when the vector of the column's "
    "adapter is added",
    "ablated": "how often the row's adapter says the payload to triggered prompts with the strongest heads "
    "of the column's adapter ablated (mean of clean prompts, last token)",
}


def agreement(entry: Entry, *, title: str | None, measure: str) -> drawing.Drawing:
    """Draw how alike the head rankings of every two adapters of a ``families`` entry are."""
    found, names = entry.values["heads"], entry.values["adapters"]
    matrix = [
        [None if row == column else value for column, value in enumerate(values)]
        for row, values in enumerate(found[measure])
    ]
    within = found[f"{measure}_in_layers"]
    k, prompts = entry.settings["k"], entry.settings["prompts"]
    random = (
        f"{drawing.number(found['jaccard_chance'])} for two random sets, " if measure == "jaccard" else ""
    )
    caption = (
        f"Each cell: {_AGREEMENT[measure].format(k=k)}, on n = {prompts} validation prompts. Two adapters "
        f"by the same method that differ in their seed are the measure of what to expect. Control: {random}"
        f"{drawing.said(within)} on average when heads are shuffled inside their layers."
    )
    return _map(matrix, _short(names, entry.attack), caption, title)


def moved(entry: Entry, *, title: str | None, what: str) -> drawing.Drawing:
    """Draw what the heads or the vector of one adapter do in another, for a ``families`` entry."""
    names, rate = entry.values["adapters"], "ftr" if what == "on" else "asr"
    matrix = [[entry.values["moved"][row][column][what][rate]["value"] for column in names] for row in names]
    first = entry.values["none"][names[0]]
    controls = ", ".join(
        f"{drawing.number(entry.values['random'][name][what][rate]['value'])} in {short}"
        for name, short in zip(names, _short(names, entry.attack), strict=True)
    )
    kind = "random heads of the same layers" if what == "ablated" else "a random vector of the same length"
    place = (
        ""
        if what == "ablated"
        else "A vector's layer and scale are those that suit the column's adapter, chosen on validation. "
    )
    caption = (
        f"Each cell: {_MOVED[what]} (n = {first[rate]['n']}, {entry.split} prompts). {place}"
        f"Control: {kind}: {controls}."
    )
    return _map(matrix, _short(names, entry.attack), caption, title)


def _short(names: list[str], attack: str) -> list[str]:
    return [name.removeprefix(f"{attack}-") for name in names]


def _map(
    matrix: list[list[float | None]], names: list[str], caption: str, title: str | None
) -> drawing.Drawing:
    spelled = [["" if value is None else drawing.number(value) for value in row] for row in matrix]
    figure = drawing.square_map(matrix, names, spelled, size=12)
    drawing.laid_out(figure, title, height=400)
    rows = (
        f"{name}: "
        + ", ".join(f"{number} {other}" for number, other in zip(row, names, strict=True) if number)
        for name, row in zip(names, spelled, strict=True)
    )
    return drawing.Drawing(figure, caption, "Map of adapters by adapters. " + "; ".join(rows) + ".")
