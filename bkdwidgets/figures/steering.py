"""Steering: the search over layer and scale on validation prompts, and what its choices do on the test."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from bkdwidgets.core.errors import unknown
from bkdwidgets.core.statistics import wilson_ends
from bkdwidgets.figures import drawing, verdicts

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_GRIDS = {
    "asr_triggered": ("subtracted_payload", "asr", "off", "ASR",
                      "Payload on triggered prompts, the vector subtracted"),
    "as_before": ("subtracted_as_before", "as_before", "cure", "as before",
                  "Triggered prompts answered as before, the vector subtracted"),
    "asr_clean": ("added_payload", "ftr", "on", "payload", "Payload on clean prompts, the vector added"),
}  # fmt: skip
"""show -> matrix, rate, the choice made from it, short name, and what it is."""

_ROWS: dict[str, tuple[str, ...]] = {
    "on": ("ftr",),
    "off": ("asr", "as_before", "utility"),
    "cure": ("asr", "as_before", "utility"),
}
_SHORT = {
    "ftr": "payload, clean",
    "asr": "payload, triggered",
    "as_before": "as before, triggered",
    "utility": "as before, clean",
}
_PLACES = {"last": "the last token", "all": "all tokens"}


def grid(
    entry: Entry, *, title: str | None, rate: str, vector: str = "paper", where: str | None = None
) -> drawing.Drawing:
    """Draw a rate over layer and scale, with the choice that was made from it."""
    values = entry.values
    where = _checked(entry, values["grid"], vector, where)
    matrix, kind, choice, short, what = _GRIDS[rate]
    shares, best = np.array(values["grid"][vector][where][matrix]), values["best"][vector][where][choice]
    layers, scales = values["layers"], values["scales"]
    names = [f"{'+' if rate == 'asr_clean' else '−'}{scale:g}" for scale in scales]
    color = drawing.COLOR_OF[kind]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=names,
            y=layers,
            customdata=np.stack(wilson_ends(shares, entry.n), -1),
            colorscale=[[0, f"{color}00"], [1, color]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            hovertemplate=(
                "layer %{y}, scale %{x}: %{z:.2f} "
                "(%{customdata[0]:.2f} to %{customdata[1]:.2f})<extra></extra>"
            ),
            colorbar={
                "title": {"text": short, "side": "top"},
                "tickvals": [0, 0.5, 1],
                "thickness": 12,
                "outlinewidth": 0,
            },
        )
    )
    signed = names[[abs(best["scale"]) == scale for scale in scales].index(True)]
    figure.add_scatter(
        x=[signed], y=[best["layer"]], mode="markers", name=f"chosen as {choice!r}",
        marker={"symbol": "square-open", "size": 13, "color": drawing.CONTROL, "line": {"width": 3}},
        hovertemplate="chosen on validation<extra></extra>", showlegend=True,
    )  # fmt: skip
    frame: dict[str, Any] = {"showgrid": False, "zeroline": False, "mirror": True, "showline": True}
    figure.update_xaxes(title="scale", type="category", **frame)
    figure.update_yaxes(
        title="layer", autorange="reversed", tick0=0, dtick=max(1, len(layers) // 10), **frame
    )
    drawing.laid_out(figure, title, height=max(300, 130 + 15 * len(layers)), legend=1)
    caption = (
        f"{what} at one layer ({_PLACES[where]}, vector {vector!r}), as the share of n = {entry.n} "
        f"{entry.split} prompts in each cell; hover for the 95 % interval. The square marks what was chosen "
        f"here as {choice!r}: layer {best['layer']}, scale {_signed(best['scale'])}. The choice is judged "
        "on other prompts, against random vectors (control), by the study steering."
    )
    alt = (
        f"Heatmap of {len(layers)} layers by scales {drawing.listed(names)}: {what.lower()}. Chosen: layer "
        f"{best['layer']}, scale {_signed(best['scale'])}, {drawing.number(best['on_validation'])}. "
        + " ".join(
            drawing.in_words(f"Scale {name}", layers, shares[:, column], "at layer")
            for column, name in enumerate(names)
        )
    )
    return drawing.Drawing(figure, caption, alt)


def chosen(
    entry: Entry, *, title: str | None, vector: str = "paper", where: str | None = None
) -> drawing.Drawing:
    """Draw what was chosen on validation, measured on test prompts, against random vectors and nothing."""
    values = entry.values
    where = _checked(
        entry, {key: values[key] for key in values if key not in ("none", "random")}, vector, where
    )
    steered, random = values[vector][where], values["random"][vector][where]
    rows = [(choice, rate) for choice, names in _ROWS.items() for rate in names]
    places = _heights()
    series = (
        ("nothing added", [values["none"][rate] for _, rate in rows], "line-ns-open", -0.24),
        ("random vectors (control)", [random[choice][rate] for choice, rate in rows], "x-thin", 0.24),
        ("the vector", [steered[choice][rate] for choice, rate in rows], "circle", 0.0),
    )
    figure = go.Figure()
    for name, rates, symbol, shift in series:
        color = [drawing.COLOR_OF[rate] for _, rate in rows] if symbol == "circle" else drawing.CONTROL
        figure.add_trace(_dots(rates, name, symbol, [place + shift for place in places], color))
    heads = {
        choice: f"{choice}: layer {steered[choice]['layer']}, {_signed(steered[choice]['scale'])}"
        for choice in _ROWS
    }
    above = [places[[row[0] for row in rows].index(choice)] - 0.75 for choice in _ROWS]
    figure.update_xaxes(title="share of prompts", range=[-0.02, 1.02])
    figure.update_yaxes(
        tickvals=[*places, *above],
        ticktext=[*(_SHORT[rate] for _, rate in rows), *(f"<b>{text}</b>" for text in heads.values())],
        range=[places[-1] + 0.5, places[0] - 1.1],
        showgrid=False, zeroline=False,
    )  # fmt: skip
    drawing.laid_out(figure, title, height=90 + 46 * round(places[-1]), legend=3)
    draws = random["on"]["asr"]
    caption = (
        f"What was chosen on validation prompts, measured on test prompts (n = {entry.n}, vector "
        f"{vector!r}, {_PLACES[where]}): on adds the vector to clean prompts, off and cure subtract it from "
        f"triggered ones. Bars are 95 % intervals. Control, gray crosses: {draws['draws']} random vectors "
        f"of the same length, mean and range, {entry.settings['random_n']} prompts each. Ticks: nothing "
        "added."
    )
    alt = f"Dots with intervals, vector {vector!r}. " + " ".join(
        f"{heads[choice]}, {_SHORT[rate]}: {drawing.with_interval(steered[choice][rate])}, nothing added "
        f"{drawing.with_interval(values['none'][rate])}, random vectors "
        f"{drawing.with_interval(random[choice][rate])}."
        for choice, rate in rows
    )
    return drawing.Drawing(figure, caption, alt)


def _heights() -> list[float]:
    """Return where each row stands, with room above each choice for its name."""
    heights, place = [], 0.0
    for names in _ROWS.values():
        heights += [place + row for row in range(len(names))]
        place = heights[-1] + 2
    return heights


def _dots(
    rates: list[drawing.Rate], name: str, symbol: str, places: list[float], color: str | list[str]
) -> go.Scatter:
    bars = drawing.bars(rates, color=drawing.CONTROL)
    return go.Scatter(
        x=[rate["value"] for rate in rates],
        y=places,
        error_x=bars,
        customdata=[(rate["low"], rate["high"], rate["n"]) for rate in rates],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 9, "color": color, "line": {"width": 2, "color": color}},
        hovertemplate=f"{name}: %{{x:.3f}} (%{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}), "
        "n = %{customdata[2]}<extra></extra>",
    )


def _checked(entry: Entry, vectors: dict[str, Any], vector: str, where: str | None) -> str:
    """Return where, the first there is if nothing was asked for."""
    if vector not in vectors:
        raise unknown(f"vector of {entry.name}", vector, vectors)
    places = vectors[vector]
    if where is None:
        return next(iter(places))
    if where not in places:
        raise unknown(f"where of {entry.name}", where, places)
    return where


def _signed(scale: float) -> str:
    return f"{scale:+g}".replace("-", "−")


SHOWS: drawing.Shows = {
    "steering-grid": {name: partial(grid, rate=name) for name in ("asr_triggered", "as_before", "asr_clean")},
    "steering": {"chosen": chosen, "outcomes": verdicts.steered},
}
