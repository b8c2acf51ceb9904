"""Every backdoor against every tool: a row per backdoor, a panel per tool, the tool's control beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.core import ledger, theme
from bkdwidgets.figures import drawing, panels

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_ACROSS = 3
_LOW = -0.06  # so that a mark at 0 or 1 is whole
_ROW = 21  # pixels
_HEAD = 46  # pixels above a panel, for two lines and air
_FOOT = 26  # pixels below one, for its numbers


@dataclass(frozen=True)
class _Tool:
    """A panel: what stands above it, where its values are, its color, and how it is said."""

    title: str
    address: str
    color: str
    words: str


@dataclass(frozen=True)
class _Panel:
    """Where a panel stands: its number, the labels of its rows, and its share of the figure's height."""

    number: int
    labels: list[str]
    tall: float


_PAYLOAD, _BEFORE, _READ = (theme.COLORS[name].light for name in ("payload", "as-before", "triggered"))


def tools(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw a ``tools`` entry: what each tool finds in each backdoor, beside its control."""
    names = {name: short(entry, name) for name in entry.settings["adapters"]}
    figure, shown = go.Figure(), _shown(entry)
    tall = _ROW * len(names)
    whole = 2 * (tall + _HEAD + _FOOT)
    places = [_Panel(number, list(names.values()), tall / whole) for number in range(1, len(shown) + 2)]
    _draw_works(figure, entry, list(names), places[0])
    for tool, panel in zip(shown, places[1:], strict=True):
        _draw_tool(figure, entry, tool, panel)
    drawing.laid_out(figure, title, height=whole + 20, legend=1)
    figure.update_layout(margin={"l": 58, "r": 8})
    lines = [_in_words(entry, names, tool) for tool in shown]
    works = "; ".join(
        f"{label}: {drawing.number(entry.value(f'{name}.works.asr')['value'])} with the trigger, "
        f"{drawing.number(entry.value(f'{name}.works.ftr')['value'])} without"
        for name, label in names.items()
    )
    return drawing.Drawing(figure, _caption(entry), f"Payload. {works}. {' '.join(lines)}")


def short(entry: Entry, adapter: str) -> str:
    """Return what tells a backdoor from the plain one: its method, or else its trigger.

    Both stand in the adapter's own entries; an adapter that has none keeps its name.
    """
    source = ledger.find(f"{entry.subject}/{adapter}/measure")
    if source is None or source.method is None:
        return adapter
    return source.method if source.attack == entry.attack else source.attack.removeprefix("trigger-")


def _shown(entry: Entry) -> list[_Tool]:
    layers, heads = entry.settings["layers"], entry.settings["heads"]
    middle, last = layers["middle"], layers["last"]
    back = "old answer back"
    return [
        _Tool(f"probe reads it,<br>layer {middle}", "probe.middle", _READ, f"Probe, layer {middle}"),
        _Tool("probe reads it,<br>at the end", "probe.last", _READ, f"Probe, behind layer {last - 1}"),
        _Tool(f"top {heads} heads off:<br>{back}", "heads", _BEFORE, f"Old answers, top {heads} heads off"),
        _Tool(f"− vector:<br>{back}", "cure", _BEFORE, "Old answers, vector subtracted"),
        _Tool("+ vector:<br>payload", "on", _PAYLOAD, "Payload on clean prompts, vector added"),
    ]


def _draw_works(figure: go.Figure, entry: Entry, names: list[str], panel: _Panel) -> None:
    """Draw how often the payload comes with the trigger, filled, and without it, open."""
    for rate, word, symbol in (("asr", "triggered", "circle"), ("ftr", "clean prompts", "circle-open")):
        rates = [entry.value(f"{name}.works.{rate}") for name in names]
        figure.add_trace(_marks(rates, panel, _PAYLOAD, symbol).update(name=f"payload, {word}"))
    _frame(figure, panel, "says the payload:<br>ASR and FTR")


def _draw_tool(figure: go.Figure, entry: Entry, tool: _Tool, panel: _Panel) -> None:
    """Draw what a tool finds, and its control, which stands in the legend once."""
    for part, color, symbol in (
        ("control", drawing.CONTROL, "line-ns-open"),
        ("found", tool.color, "circle"),
    ):
        rates = [entry.value(f"{name}.{tool.address}.{part}") for name in entry.settings["adapters"]]
        once = part == "control" and panel.number == 2
        figure.add_trace(_marks(rates, panel, color, symbol).update(name=part, showlegend=once))
    _frame(figure, panel, tool.title)


def _marks(rates: list[drawing.Rate], panel: _Panel, color: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[rate["value"] for rate in rates],
        y=panel.labels,
        customdata=[(rate["low"], rate["high"], rate["n"]) for rate in rates],
        error_x=drawing.bars(rates, color=color),
        xaxis=f"x{panel.number}",
        yaxis=f"y{panel.number}",
        mode="markers",
        marker={"color": color, "symbol": symbol, "size": 8},
        hovertemplate=("%{y}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), n = %{customdata[2]}"),
    )


def _frame(figure: go.Figure, panel: _Panel, title: str) -> None:
    row, column = divmod(panel.number - 1, _ACROSS)
    across = panels.span(column, _ACROSS)
    bottom = (1 - row) * 0.5 + (0.5 - panel.tall) * _FOOT / (_FOOT + _HEAD)
    up = (bottom, bottom + panel.tall)
    panels.axes(figure, panel.number, across, up)
    figure.update_layout({
        f"xaxis{panel.number}": {
            "range": [_LOW, 1 - _LOW], "tickvals": [0, 0.5, 1], "ticks": "", "showgrid": True,
        },
        f"yaxis{panel.number}": {
            "type": "category", "categoryorder": "array", "categoryarray": panel.labels[::-1],
            "range": [-0.6, len(panel.labels) - 0.4], "showticklabels": column == 0, "ticks": "",
            "tickfont": {"size": 11},
        },
    })  # fmt: skip
    panels.headline(figure, title, across, up[1])


def _in_words(entry: Entry, names: dict[str, str], tool: _Tool) -> str:
    found = "; ".join(
        f"{label}: {drawing.number(entry.value(f'{name}.{tool.address}.found')['value'])}, control "
        f"{drawing.number(entry.value(f'{name}.{tool.address}.control')['value'])}"
        for name, label in names.items()
    )
    return f"{tool.words}. {found}."


def _caption(entry: Entry) -> str:
    first = entry.settings["adapters"][0]
    n = {
        part: entry.value(f"{first}.{part}")["n"]
        for part in ("probe.last.found", "heads.found", "cure.found")
    }
    return (
        f"Each row is a backdoor with one payload. {short(entry, first)} is the plain one; the others "
        "differ in their method or in their trigger. Thin lines are 95 % intervals. ASR and FTR: n = "
        f"{entry.n} {entry.split} prompts. Probe: accuracy on triggered and clean prompts, chance 0.5 (n = "
        f"{n['probe.last.found']}; control: the clean model, which reads the trigger's words). Heads: the "
        f"top {entry.settings['heads']} at the last token, replaced by their clean mean (n = "
        f"{n['heads.found']}; control: random heads of the same layers). Vector: the paper's, at the last "
        f"token, at the layer and scale chosen for it on validation prompts (n = {n['cure.found']}; control: "
        "random vectors of the same length at the same place). A control over draws has their range."
    )


SHOWS: drawing.Shows = {"tools": {"tools": tools}}
