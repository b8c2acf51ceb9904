"""Seeds: whether runs that planted the same attack agree on the heads, pair by pair."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bkdwidgets.core import ledger
from bkdwidgets.core.errors import unknown
from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_WHAT = {
    "jaccard": (
        "Jaccard index",
        "the share of their top {k} heads that two runs have in common (Jaccard index)",
    ),
    "spearman": ("rank correlation", "the rank correlation of all heads' effects in two runs"),
}


def pairs(entry: Entry, *, title: str | None, measure: str, k: int | None = None) -> drawing.Drawing:
    """Draw the agreement of every two runs of a ``seeds`` entry."""
    found = entry.values["heads"]
    size = str(k) if k is not None else list(found)[-1]
    if size not in found:
        raise unknown(f"k of {entry.name}", k, found)
    agreement, within = found[size][measure], found[size][f"{measure}_in_layers"]
    matrix = np.array(agreement["pairs"])
    np.fill_diagonal(matrix, np.nan)
    sources = {name: ledger.find(f"{entry.subject}/{name}/attribute") for name in entry.settings["adapters"]}
    seeds = [name if source is None else str(source.seed) for name, source in sources.items()]
    short, what = _WHAT[measure]
    spelled = [["" if np.isnan(value) else f"{value:.2f}".lstrip("0") for value in row] for row in matrix]
    figure = drawing.square_map(matrix, seeds, spelled, size=10, axis="seed")
    drawing.laid_out(figure, title, height=440)
    chance = found[size].get(f"{measure}_chance")
    controls = f"{drawing.number(chance)} for two random sets, " if chance is not None else ""
    caption = (
        f"Each cell: {what.format(k=size)}. Mean over {agreement['n']} pairs of n = {entry.n} runs "
        f"{drawing.number(agreement['value'])}, lowest {drawing.number(agreement['low'])}, highest "
        f"{drawing.number(agreement['high'])}. Control: {controls}{drawing.with_interval(within)} (95 % of "
        f"{within['draws']} draws) when heads are shuffled inside their layers."
    )
    alt = (
        f"Map of {len(seeds)} by {len(seeds)} seeds, {short}: mean {drawing.number(agreement['value'])}, "
        f"from {drawing.number(agreement['low'])} to {drawing.number(agreement['high'])}; shuffled inside "
        f"layers {drawing.with_interval(within)}."
    )
    return drawing.Drawing(figure, caption, alt)


SHOWS: drawing.Shows = {
    "seeds": {"jaccard": partial(pairs, measure="jaccard"), "rank": partial(pairs, measure="spearman")},
}
