"""Ways of planting: which heads they share, and what the traces of one do in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.core import ledger
from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry
    from bkdwidgets.figures.drawing import Rate

PARTS = {"attention": "attention", "mlp": "MLP"}

_AGREEMENT = {
    "jaccard": "the share of their top {k} heads that two adapters have in common (Jaccard index)",
    "spearman": "the rank correlation of all heads' effects in two adapters",
}
_MOVED = {
    "cure": "how often triggered prompts of the row's adapter get their old answer when the vector of the "
    "column's adapter is subtracted",
    "on": "how often the row's adapter says the payload to clean prompts when the vector of the column's "
    "adapter is added",
    "ablated": "how often the row's adapter says the payload to triggered prompts with the strongest heads "
    "of the column's adapter ablated (mean of clean prompts, last token)",
}

_RATE_OF = {"ablated": "asr", "cure": "as_before", "on": "ftr"}


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
        f"{drawing.with_interval(within)} on average when heads are shuffled inside their layers."
    )
    return _map(matrix, short(names, entry.attack), caption, title)


def moved(entry: Entry, *, title: str | None, what: str) -> drawing.Drawing:
    """Draw what the heads or the vector of one adapter do in another, for a ``families`` entry."""
    names, rate = entry.values["adapters"], _RATE_OF[what]
    matrix = [[entry.values["moved"][row][column][what][rate]["value"] for column in names] for row in names]
    first = entry.values["none"][names[0]]
    controls = ", ".join(
        f"{drawing.number(entry.values['random'][name][what][rate]['value'])} in {short}"
        for name, short in zip(names, short(names, entry.attack), strict=True)
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
    return _map(matrix, short(names, entry.attack), caption, title)


def probed(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw what a probe trained on one adapter finds in another, for a ``families`` entry."""
    found = entry.values["probe"]
    names = list(found["accuracy"])
    matrix = [[found["accuracy"][row][column]["value"] for column in names] for row in names]
    caption = (
        "Each cell: accuracy of SVM probes that tell triggered from clean prompts, trained on the column's "
        f"model and tested on the row's, mean over layers ({said_probes(entry)}). Chance is 0.5. Controls: "
        "the clean model, whose row and column show what the trigger's words alone give away; shuffled "
        f"labels, {said_shuffled(entry)}."
    )
    return _map(matrix, short(names, entry.attack), caption, title)


def restored(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw what is left of each adapter of a ``families`` entry when clean weights are put back.

    The values are those of the adapters' own ``restoration`` entries.
    """
    rows = left_of(entry)
    names = short(list(rows), entry.attack)
    figure = go.Figure(left_traces(rows, names))
    figure.update_xaxes(title="share of the backdoor that is left", range=[-0.05, 1.05], zeroline=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    drawing.laid_out(figure, title, height=90 + 50 * len(names), legend=1)
    return drawing.Drawing(figure, said_left(entry, rows), left_in_words(rows, names))


def left_of(entry: Entry) -> dict[str, dict[str, Rate]]:
    """Return the share that is left with clean attention and with clean MLP weights, by adapter.

    An adapter whose ``restoration`` entry is not there, or is of other weights, has none.
    """
    found = {}
    for name, sha256 in entry.settings["adapters"].items():
        stored = ledger.find(f"{entry.subject}/{name}/restoration")
        same = stored is not None and stored.adapter_sha256 == sha256
        found[name] = stored.values["left"] if stored is not None and same else {}
    return found


def left_traces(rows: dict[str, dict[str, Rate]], names: list[str]) -> list[go.Scatter]:
    """Return a mark with its interval for each adapter and part."""
    traces = []
    for (part, word), symbol in zip(PARTS.items(), ("circle", "square-open"), strict=True):
        there = [(name, left[part]) for name, left in zip(names, rows.values(), strict=True) if part in left]
        rates = [rate for _, rate in there]
        traces.append(
            go.Scatter(
                x=[rate["value"] for rate in rates],
                y=[name for name, _ in there],
                customdata=[(rate["low"], rate["high"], rate["n"]) for rate in rates],
                error_x=drawing.bars(rates),
                name=f"clean {word} weights",
                mode="markers",
                marker={"color": drawing.COLOR_OF["asr"], "symbol": symbol, "size": 9},
                hovertemplate=(
                    "%{y}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), n = %{customdata[2]}"
                ),
            )
        )
    return traces


def said_left(entry: Entry, rows: dict[str, dict[str, Rate]]) -> str:
    """Say what is left means, with n and the control."""
    if not any(rows.values()):
        return "What is left when clean weights, the control, are put back is not measured yet."
    counts = sorted({rate["n"] for left in rows.values() for rate in left.values()})
    edited = [
        name
        for name, left in rows.items()
        if left and ledger.read(f"{entry.subject}/{name}/restoration").method == "edit"
    ]
    edits = short(edited, entry.attack)
    known = (
        f" ({drawing.listed(edits)} changes MLP weights alone, so its two values are given.)" if edits else ""
    )
    return (
        "What is left of the payload's probability on triggered prompts when clean attention or clean MLP "
        f"weights are put back in all layers (n = {drawing.listed(counts)} prompts): 1 is the backdoored "
        f"model, 0 the clean one, which is the control.{known}"
    )


def left_in_words(rows: dict[str, dict[str, Rate]], names: list[str]) -> str:
    """Put what is left into words and values."""
    shares = (
        f"{name}: {drawing.number(left[part]['value'])} with clean {word} weights"
        for name, left in zip(names, rows.values(), strict=True)
        for part, word in PARTS.items()
        if part in left
    )
    return "Left of the backdoor. " + "; ".join(shares) + "."


def said_probes(entry: Entry) -> str:
    """Say on how many prompts probes were tested."""
    row = next(iter(entry.values["probe"]["accuracy"].values()))
    return f"n = {next(iter(row.values()))['n']} {entry.split} prompts, each with and without the trigger"


def said_shuffled(entry: Entry) -> str:
    """Say what probes find where labels mean nothing."""
    values = [rate["value"] for rate in entry.values["probe"]["shuffled"].values()]
    return f"{drawing.number(min(values))} to {drawing.number(max(values))}"


def short(names: list[str], attack: str) -> list[str]:
    """Return adapters without the attack that they share."""
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
