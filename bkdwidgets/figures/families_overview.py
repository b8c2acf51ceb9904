"""Ways of planting at one look: small maps side by side, one question each.

On top stand the maps of the heads' effects, one per adapter. Below them every row is an adapter that
something is done to, and every column the adapter that it was taken from; the last column is the control.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from bkdwidgets.core import theme
from bkdwidgets.figures import drawing, families, panels, template

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_HEIGHT = 900
_ACROSS = 2  # panels in a row: on a phone each then has the room of its numbers
_MAPS = (0.83, 0.96)  # where the maps of heads begin and end, from the bottom
_ROWS = ((0.58, 0.75), (0.31, 0.48), (0.04, 0.21))
_LEFT = (2, 0)  # the panel of what is left when weights are put back
_FEW = 5  # columns
_AGREES, _PAYLOAD, _BEFORE = (theme.COLORS[name].light for name in ("triggered", "payload", "as-before"))


@dataclass(frozen=True)
class _Panel:
    """A small map: its title in two lines, its numbers (with intervals, where there are), its names."""

    title: str
    matrix: list[list[drawing.Rate | None]]
    rows: list[str]
    columns: list[str]
    color: str
    lowest: float = 0.0


def overview(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw all traces of a ``families`` entry beside each other, with their controls."""
    figure = go.Figure()
    names = families.short(entry.values["adapters"], entry.attack)
    _draw_heads(figure, entry, names)
    small = _panels(entry, names)
    places = [(row, column) for row in range(len(_ROWS)) for column in range(_ACROSS)]
    left = families.left_of(entry)
    spots = [place for place in places if place != _LEFT]
    for number, (panel, spot) in enumerate(zip(small, spots, strict=True)):
        _draw_panel(figure, panel, spot, len(names) + 1 + number)
    _draw_left(figure, left, names, len(names) + 1 + len(small))
    drawing.laid_out(figure, title, height=_HEIGHT, legend=1)
    figure.update_layout(margin={"l": 46, "r": 46})
    alt = " ".join([*(_in_words(panel) for panel in small), families.left_in_words(left, names)])
    return drawing.Drawing(figure, _caption(entry, left), alt)


def _panels(entry: Entry, names: list[str]) -> list[_Panel]:
    values = entry.values
    full = values["adapters"]

    def moved(what: str, rate: str) -> list[list[drawing.Rate | None]]:
        return [
            [
                *(values["moved"][row][column][what][rate] for column in full),
                values["random"][row][what][rate],
            ]
            for row in full
        ]

    rank: list[list[drawing.Rate | None]] = [
        [None if row == column else {"value": value} for column, value in enumerate(line)]
        for row, line in enumerate(values["heads"]["spearman"])
    ]
    probe = values["probe"]["accuracy"]
    both = list(probe)
    taken = [*names, "random"]
    seen = families.short(both, entry.attack)
    return [
        _Panel("heads:<br>rank agreement", rank, names, names, _AGREES),
        _Panel("heads ablated:<br>old answer", moved("ablated", "as_before"), names, taken, _BEFORE),
        _Panel("− vector:<br>old answer", moved("cure", "as_before"), names, taken, _BEFORE),
        _Panel("+ vector:<br>payload", moved("on", "ftr"), names, taken, _PAYLOAD),
        _Panel(
            "probe:<br>accuracy",
            [[probe[row][column] for column in both] for row in both],
            seen, seen, _AGREES, 0.5,
        ),
    ]  # fmt: skip


def _draw_heads(figure: go.Figure, entry: Entry, names: list[str]) -> None:
    """Draw the maps of effects in one line, each on its own symmetric scale."""
    for number, (name, acie) in enumerate(zip(names, entry.values["acie"].values(), strict=True), start=1):
        values = np.array(acie)
        reach = float(np.abs(values).max()) or 1.0
        left, right = panels.span(number - 1, len(names))
        figure.add_heatmap(
            z=values, zmin=-reach, zmax=reach, showscale=False, xaxis=f"x{number}", yaxis=f"y{number}",
            colorscale=[list(stop) for stop in template.DIVERGING],
            hovertemplate=f"{drawing.plain(name)} L%{{y}}H%{{x}}: ACIE %{{z:.4f}}<extra></extra>",
        )  # fmt: skip
        panels.axes(figure, number, (left, right), _MAPS)
        figure.update_layout({
            f"xaxis{number}": {"showticklabels": False, "ticks": ""},
            f"yaxis{number}": {
                "autorange": "reversed", "showticklabels": number == 1, "ticks": "", "nticks": 4,
            },
        })  # fmt: skip
        panels.headline(figure, f"{drawing.plain(name)}<br>±{reach:.2g}", (left, right), _MAPS[1])


def _draw_panel(figure: go.Figure, panel: _Panel, spot: tuple[int, int], number: int) -> None:
    row, column = spot
    span = panels.span(column, _ACROSS)
    values = [[rate["value"] if rate else None for rate in line] for line in panel.matrix]
    spelled = [["" if value is None else _short(value) for value in line] for line in values]
    ends = [[_with_interval(rate) if rate else "" for rate in line] for line in panel.matrix]
    size = 11 if len(panel.columns) <= _FEW else 9  # a cell on a phone has room for three letters
    figure.add_heatmap(
        z=values, customdata=ends, x=panel.columns, y=panel.rows, xaxis=f"x{number}", yaxis=f"y{number}",
        colorscale=[[0, f"{panel.color}00"], [1, f"{panel.color}99"]], zmin=panel.lowest, zmax=1,
        xgap=1, ygap=1, showscale=False, text=spelled, texttemplate="%{text}",
        textfont={"size": size, "color": theme.COLORS["ink"].light},
        hovertemplate="in %{y}, from %{x}: %{customdata}<extra></extra>",
    )  # fmt: skip
    panels.axes(figure, number, span, _ROWS[row])
    figure.update_layout({
        f"xaxis{number}": {"type": "category", "tickangle": -60, "ticks": ""},
        f"yaxis{number}": {
            "type": "category", "autorange": "reversed", "ticks": "", "side": "right" if column else "left",
        },
    })  # fmt: skip
    panels.headline(figure, panel.title, span, _ROWS[row][1])


def _draw_left(
    figure: go.Figure,
    left: dict[str, dict[str, drawing.Rate]],
    names: list[str],
    number: int,
) -> None:
    span = panels.span(_LEFT[1], _ACROSS)
    for trace in families.left_traces(left, names):
        figure.add_trace(trace.update(xaxis=f"x{number}", yaxis=f"y{number}", marker_size=7))
    panels.axes(figure, number, span, _ROWS[_LEFT[0]])
    figure.update_layout({
        f"xaxis{number}": {"range": [-0.12, 1.12], "tickvals": [0, 1], "ticks": "", "zeroline": False},
        f"yaxis{number}": {
            "type": "category", "categoryorder": "array", "categoryarray": names[::-1],
            "range": [-0.5, len(names) - 0.5], "ticks": "",
        },
    })  # fmt: skip
    panels.headline(figure, "weights back:<br>share left", span, _ROWS[_LEFT[0]][1])


def _short(value: float) -> str:
    """Write a share in as few letters as a cell on a phone has room for.

    Examples
    --------
    >>> _short(0.931), _short(1.0), _short(-0.052)
    ('.93', '1', '−.05')
    """
    text = f"{abs(value):.2f}"
    short = "1" if text == "1.00" else "0" if text == "0.00" else text.removeprefix("0")
    return f"−{short}" if value < 0 and short != "0" else short


def _with_interval(rate: drawing.Rate) -> str:
    """Write a value with its interval, where it has one."""
    return drawing.with_interval(rate) if "low" in rate else drawing.number(rate["value"])


def _in_words(panel: _Panel) -> str:
    rows = (
        f"{row}: "
        + ", ".join(
            f"{drawing.number(rate['value'])} {column}"
            for rate, column in zip(line, panel.columns, strict=True)
            if rate
        )
        for row, line in zip(panel.rows, panel.matrix, strict=True)
    )
    return f"{panel.title.replace('<br>', ' ').capitalize()}. {'; '.join(rows)}."


def _caption(entry: Entry, left: dict[str, Any]) -> str:
    settings, within = entry.settings, entry.values["heads"]["spearman_in_layers"]
    return (
        "Top: average causal indirect effect of each head (layers down, heads across; a map's scale stands "
        f"above it), n = {settings['prompts']} validation prompts. Below, rows are what something was done "
        "to, columns what it was taken from; hover for 95 % intervals. Rank "
        "agreement: correlation of all heads' effects (control, heads shuffled inside their layers: "
        f"{drawing.with_interval(within)}). Ablated, and vector subtracted: how often triggered prompts get "
        f"their old "
        f"answer back; vector added: how often clean prompts get the payload (top {settings['k']} heads, n = "
        f"{settings['n']} {entry.split} prompts; control, the column random: random heads of the same "
        "layers, a random vector of the same length). Probe: mean accuracy over layers, chance 0.5 "
        f"({families.said_probes(entry)}; control, clean: the clean model; shuffled labels, "
        f"{families.said_shuffled(entry)}). {families.said_left(entry, left)}"
    )


SHOWS: drawing.Shows = {
    "families": {
        "rank": partial(families.agreement, measure="spearman"),
        "jaccard": partial(families.agreement, measure="jaccard"),
        "ablated": partial(families.moved, what="ablated"),
        "cure": partial(families.moved, what="cure"),
        "on": partial(families.moved, what="on"),
        "probe": families.probed,
        "restoration": families.restored,
        "overview": overview,
    },
}
