"""What all drawings of ledger entries share: their words, their intervals, their legends.

One rule of color for all of them: the color says *what is measured* (vermilion the payload, green the old
answer, with the trigger or without), dash and symbol say *what was done*, and gray is the control.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

import plotly.graph_objects as go

from bkdwidgets.core import theme
from bkdwidgets.figures import template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


Rate = dict[str, Any]
"""A value of the ledger: ``"value"``, ``"low"``, ``"high"``, ``"n"``."""

COLOR_OF = {
    "asr": theme.COLORS["payload"].light,
    "ftr": theme.COLORS["payload"].light,
    "as_before": theme.COLORS["as-before"].light,
    "utility": theme.COLORS["as-before"].light,
}
WORDS = {
    "asr": "Payload on triggered prompts (ASR)",
    "ftr": "Payload on clean prompts (FTR)",
    "as_before": "The old answer on triggered prompts (as before)",
    "utility": "The old answer on clean prompts (utility)",
}
CONTROL = theme.COLORS["control"].light
_BAND = "rgba(138,143,152,0.22)"  # the control's gray, thin enough for either paper
AXES = {
    "asr": "ASR",
    "ftr": "FTR",
    "as_before": "as before, triggered",
    "utility": "utility",
}
MARKS = (("solid", "circle"), ("dash", "square"), ("dot", "diamond"), ("dashdot", "triangle-up"))
"""Dash and symbol of the first, second, ... thing that was done."""

_EACH = 8  # so many points are read out one by one; of more, ends and extremes
_LINE = 38  # characters of a title that fit a phone
_WIDE = 27  # pixels a line of the legend takes


Shows: TypeAlias = "Mapping[str, Mapping[str, Callable[..., Drawing]]]"
"""Study -> word -> what draws it, given the entry, a title and options."""


@dataclass(frozen=True)
class Drawing:
    """A figure with its words.

    Attributes
    ----------
    figure : plotly.graph_objects.Figure
        The figure.
    caption : str
        What is drawn, n, the intervals and the control.
    alt : str
        The same figure in words and values, for those who do not see it.
    """

    figure: go.Figure
    caption: str
    alt: str


def bars(rates: Sequence[Rate], *, color: str | None = None) -> dict[str, Any]:
    """Return plotly's error bars from the value to both ends of the interval."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [rate["high"] - rate["value"] for rate in rates],
        "arrayminus": [rate["value"] - rate["low"] for rate in rates],
        "width": 0,
        "thickness": 1.5,
        **({"color": color} if color else {}),
    }


def intervals_over(figure: go.Figure, rates: Sequence[Rate], y: Sequence[float | str]) -> None:
    """Draw intervals along x above all that the figure has so far: ink edged with paper, seen on any."""
    for tone, thickness in (("paper", 5), ("ink", 2)):
        figure.add_scatter(
            x=[rate["value"] for rate in rates],
            y=list(y),
            error_x=bars(rates, color=theme.COLORS[tone].light) | {"thickness": thickness, "width": 4},
            mode="markers",
            marker={"opacity": 0, "color": theme.COLORS[tone].light},
            hoverinfo="skip",
            showlegend=False,
        )


def line(
    x: Sequence[float], rates: Sequence[Rate], name: str, color: str, mark: int = 0, **options: Any
) -> go.Scatter:
    """Return a line of values with their intervals; `mark` chooses dash and symbol."""
    dash, symbol = MARKS[mark % len(MARKS)]
    options = {"mode": "lines+markers", "error_y": bars(rates)} | options
    return go.Scatter(
        x=list(x),
        y=[rate["value"] for rate in rates],
        customdata=[(rate["low"], rate["high"], rate["n"]) for rate in rates],
        name=plain(name),
        line={"color": color, "dash": dash, "width": 2},
        marker={"color": color, "symbol": symbol, "size": 7},
        hovertemplate=("%{x}: %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), n = %{customdata[2]}"),
        **options,
    )


def band(x: Sequence[float], low: Sequence[float], high: Sequence[float], name: str) -> go.Scatter:
    """Return the gray band of a control."""
    return go.Scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        name=plain(name),
        mode="lines",
        line={"width": 0, "color": CONTROL},
        fill="toself",
        fillcolor=_BAND,
        hoverinfo="skip",
    )


def level(figure: go.Figure, x: Sequence[float], rate: Rate, name: str, dash: str = "dash") -> None:
    """Draw a control that does not depend on x: a thin gray line with its interval as a band."""
    figure.add_trace(
        band(x, [rate["low"]] * len(x), [rate["high"]] * len(x), name).update(
            showlegend=False, legendgroup=name
        )
    )
    figure.add_scatter(
        x=[x[0], x[-1]], y=[rate["value"]] * 2, name=plain(name), mode="lines", legendgroup=name,
        line={"color": CONTROL, "width": 1.5, "dash": dash},
        hovertemplate=f"{rate['value']:.3f} ({rate['low']:.3f} to {rate['high']:.3f})",
    )  # fmt: skip


def square_map(
    matrix: Any, names: Sequence[str], spelled: Sequence[Sequence[str]], *, size: int, axis: str = ""
) -> go.Figure:
    """Draw how everything named goes with everything named: shares from 0 to 1, each with its number."""
    color = theme.COLORS["triggered"].light
    figure = go.Figure(
        go.Heatmap(
            z=matrix,
            x=list(names),
            y=list(names),
            colorscale=[[0, f"{color}00"], [1, f"{color}99"]],  # thin enough to read the numbers on it
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            text=spelled,
            texttemplate="%{text}",
            textfont={"size": size, "color": theme.COLORS["ink"].light},
            hovertemplate=f"{axis} %{{y}}, %{{x}}: %{{z:.3f}}<extra></extra>".lstrip(),
            colorbar={"tickvals": [0, 0.5, 1], "thickness": 12, "outlinewidth": 0},
        )
    )
    frame = {"type": "category", "showgrid": False, "zeroline": False, "mirror": True, "showline": True}
    figure.update_xaxes(title=axis or None, **frame)
    figure.update_yaxes(title=axis or None, autorange="reversed", **frame)
    return figure


def laid_out(figure: go.Figure, title: str | None, *, height: int, legend: int = 0) -> go.Figure:
    """Give a figure the common frame: the title wrapped for a phone, the legend in lines below the plot."""
    lines = wrapped(title) if title else []
    head = 26 * len(lines)
    tall = height + head + _WIDE * legend
    text = "<br>".join(plain(part) for part in lines)
    place = {
        "x": 0,
        "xref": "container",
        "y": 1 - 14 / tall,
        "yref": "container",
        "yanchor": "top",
        "pad": {"l": 4},
    }
    figure.update_layout(
        template=template.TEMPLATE,
        title={"text": text, **place} if lines else None,
        height=tall,
        margin={"t": template.AIR + head, "l": 20, "r": 16, "b": 20},
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal", "itemsizing": "constant",
        },
    )  # fmt: skip
    return figure


def wrapped(text: str) -> list[str]:
    """Return lines of a title that fit a phone."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= _LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def plain(text: object) -> str:
    """Return text for plotly, which reads a few tags in titles and names, so that it stays text."""
    return escape(str(text), quote=False)


def with_interval(rate: Rate) -> str:
    """Write a value with its interval: ``0.955 (0.917 to 0.976)``."""
    return f"{number(rate['value'])} ({number(rate['low'])} to {number(rate['high'])})"


def number(value: float) -> str:
    """Write a number for people, with three decimals and a true minus sign."""
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")  # adding 0 takes the sign off a zero


def in_words(name: str, x: Iterable[object], values: Iterable[float], at: str = "at") -> str:
    """Put a line into words: each point of a short one, ends and extremes of a long one."""
    points = list(zip(x, values, strict=True))
    if len(points) <= _EACH:
        return f"{name}: " + ", ".join(f"{number(value)} {at} {place}" for place, value in points) + "."
    lowest, highest = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
    return (
        f"{name}: {number(points[0][1])} {at} {points[0][0]}, {number(points[-1][1])} {at} {points[-1][0]}, "
        f"lowest {number(lowest[1])} {at} {lowest[0]}, highest {number(highest[1])} {at} {highest[0]}."
    )


def listed(words: Iterable[object]) -> str:
    """Join words as a person would: ``a, b and c``."""
    *rest, last = [str(word) for word in words]
    return f"{', '.join(rest)} and {last}" if rest else last


def split_words(split: str, n: int, what: str = "prompts") -> str:
    """Say which prompts: ``n = 200 test prompts``."""
    return f"n = {n} {split} {what}"
