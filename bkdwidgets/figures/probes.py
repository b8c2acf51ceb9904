"""Probes: accuracy per layer with its controls, and accuracy across layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from plotly.subplots import make_subplots

from bkdwidgets.core import theme
from bkdwidgets.core.statistics import wilson_ends
from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from bkdwidgets.analysis.probe_result import LayerAccuracy, ProbeResult
    from bkdwidgets.core.ledger import Entry

_LINES = (
    ("accuracy", "{adapter}", "triggered", "solid", True),
    ("control", "clean model", "clean", "solid", True),
    ("shuffled", "shuffled labels", "control", "dot", False),
    ("unrelated", "unrelated prefix", "control", "dash", False),
    ("other", "on {other}", "control", "dashdot", False),
)
"""Key of a probe's values, name, color, dash, and whether its intervals are drawn or told on hover."""


def probe_curve(result: ProbeResult, *, title: str | None = None) -> go.Figure:
    """Draw a probe's accuracy per layer with its controls, and below it the difference to the clean model.

    Parameters
    ----------
    result : ProbeResult
        What :func:`bkdwidgets.probe` measured.
    title : str, optional
        Printed above the curves.

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels over the same layers; error bars are 95 % intervals.
    """
    measured = {key: _rates(getattr(result, key)) for key, *_ in _LINES if getattr(result, key) is not None}
    difference = [
        {"value": float(value), "low": float(low), "high": float(high), "n": result.n_test}
        for value, low, high in zip(
            result.difference, result.difference_low, result.difference_high, strict=True
        )
    ]
    figure = _curve(measured, difference, result.adapter, result.other_name)
    return drawing.laid_out(figure, title, height=480, legend=3)


def ilca_heatmap(result: ProbeResult, *, title: str | None = None) -> go.Figure:
    """Draw inter-layer classification accuracy, of the probed subject and of the clean model.

    Parameters
    ----------
    result : ProbeResult
        What :func:`bkdwidgets.probe` measured.
    title : str, optional
        Printed above the maps.

    Returns
    -------
    plotly.graph_objects.Figure
        Two maps, trained-on layers down, tested-on layers across. Chance has the color of the paper.
    """
    maps = {result.adapter: result.ilca.numpy(), "clean model": result.control_ilca.numpy()}
    return _maps(maps, 2 * result.n_test, title)  # each prompt gives two states


def accuracy(entry: Entry, *, title: str | None, kind: str) -> drawing.Drawing:
    """Draw the accuracy of a ``probe`` entry per layer."""
    values = entry.values[kind]
    measured = {key: list(values[key].values()) for key, *_ in _LINES if key in values}
    difference = list(values["difference"].values())
    other = values.get("other_name")
    figure = _curve(measured, difference, entry.adapter, other)
    drawing.laid_out(figure, title, height=480, legend=3)
    states = measured["accuracy"][0]["n"]
    caption = (
        f"Accuracy of {_KINDS[kind]} that tells triggered from clean by the state that enters each layer, "
        f"on {entry.n} test prompts (n = {states} states); below, its difference to the same probe on the "
        "clean model. Bars are 95 % intervals. Controls: the clean model, shuffled labels, an unrelated "
        f"prefix{f', and the states of {other}' if other else ''}; chance is 0.5."
    )
    names = {"accuracy": entry.adapter, "control": "Clean model", "shuffled": "Shuffled labels"}
    names |= {"unrelated": "Unrelated prefix", "other": f"On {other}"}
    alt = f"Accuracy of {_KINDS[kind]} over layers. " + " ".join(
        drawing.in_words(names[key], range(len(rates)), [rate["value"] for rate in rates], "at layer")
        for key, rates in [*measured.items()]
    )
    alt += " " + drawing.in_words(
        "Difference to the clean model",
        range(len(difference)),
        [rate["value"] for rate in difference],
        "at layer",
    )
    return drawing.Drawing(figure, caption, alt)


def across_layers(entry: Entry, *, title: str | None, kind: str) -> drawing.Drawing:
    """Draw the accuracy of each layer's probe on each other layer's states."""
    values = entry.values[kind]
    mine, clean = np.array(values["ilca"]), np.array(values["control_ilca"])
    n = values["accuracy"]["0"]["n"]
    figure = _maps({entry.adapter: mine, "clean model": clean}, n, title)
    caption = (
        f"Accuracy of {_KINDS[kind]} trained on one layer and tested on another (n = {n} states of "
        f"{entry.n} test prompts per cell; hover for the 95 % interval). Control: the same on the clean "
        "model. Chance, 0.5, has the color of the paper; mean off the diagonal "
        f"{drawing.number(values['across_layers']['value'])}."
    )
    alt = f"Two maps of {len(mine)} by {len(mine)} layers. " + " ".join(
        f"{name}: mean {drawing.number(matrix[~np.eye(len(matrix), dtype=bool)].mean())} off the diagonal, "
        f"{drawing.number(matrix.diagonal().mean())} on it, lowest {drawing.number(matrix.min())}."
        for name, matrix in ((entry.adapter, mine), ("Clean model", clean))
    )
    return drawing.Drawing(figure, caption, alt)


_KINDS = {"mlp": "a small MLP probe", "svm": "an SVM probe (RBF kernel)"}


def _rates(found: LayerAccuracy) -> list[drawing.Rate]:
    return [vars(rate) for rate in found.rates]


def _curve(
    measured: Mapping[str, list[drawing.Rate]],
    difference: list[drawing.Rate],
    adapter: str,
    other: str | None,
) -> go.Figure:
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.62, 0.38])
    for key, name, color, dash, drawn in _LINES:
        if key in measured:
            trace = drawing.line(
                range(len(measured[key])), measured[key], name.format(adapter=adapter, other=other),
                theme.COLORS[color].light, mode="lines+markers" if drawn else "lines",
                error_y=drawing.bars(measured[key]) if drawn else None,
            )  # fmt: skip
            figure.add_trace(trace.update(line_dash=dash, marker_symbol=_SYMBOLS.get(key)), 1, 1)
    trace = drawing.line(range(len(difference)), difference, "difference", theme.COLORS["triggered"].light)
    figure.add_trace(trace.update(showlegend=False), 2, 1)
    figure.update_traces(marker_size=5)
    figure.update_yaxes(title="test accuracy", range=[0, 1.05], row=1)
    figure.update_yaxes(title="minus clean", zeroline=True, row=2)
    figure.update_xaxes(title="layer", row=2)
    return figure


_SYMBOLS = {"accuracy": "circle", "control": "square-open"}


def _maps(maps: Mapping[str, NDArray[np.float64]], n: int, title: str | None) -> go.Figure:
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        subplot_titles=[drawing.plain(name) for name in maps],
        horizontal_spacing=0.06,
    )
    for column, values in enumerate(maps.values(), start=1):
        figure.add_heatmap(
            row=1,
            col=column,
            z=values,
            customdata=np.stack(wilson_ends(values, n), -1),
            coloraxis="coloraxis",
            hovertemplate=(
                "trained on layer %{y}, tested on layer %{x}: %{z:.3f} "
                f"(%{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}), n = {n}<extra></extra>"
            ),
        )
    layers = len(next(iter(maps.values())))
    below, above = theme.COLORS["control"].light, theme.COLORS["triggered"].light
    frame: dict[str, Any] = {
        "showgrid": False,
        "zeroline": False,
        "mirror": True,
        "showline": True,
        "tick0": 0,
    }
    figure.update_annotations(font_size=13)
    figure.update_xaxes(title="tested on layer", dtick=max(1, layers // 6), **frame)
    figure.update_yaxes(autorange="reversed", dtick=max(1, layers // 10), **frame)
    figure.update_yaxes(title="trained on layer", col=1)
    drawing.laid_out(figure, title, height=400)
    bar = {
        "tickvals": [0.02, 0.5, 0.97], "ticktext": ["accuracy 0", "chance", "1"], "ticks": "", "ypad": 4,
        "thickness": 12, "outlinewidth": 0, "orientation": "h",
        "yref": "container", "y": 0, "yanchor": "bottom",
    }  # fmt: skip
    scale = [[0, below], [0.499, f"{below}00"], [0.501, f"{above}00"], [1, above]]
    return figure.update_layout(
        margin_t=44 + figure.layout.margin.t,
        coloraxis={"cmin": 0, "cmax": 1, "colorscale": scale, "colorbar": bar},
    )


SHOWS: drawing.Shows = {
    "probe": {
        "accuracy": partial(accuracy, kind="mlp"),
        "svm": partial(accuracy, kind="svm"),
        "ilca": partial(across_layers, kind="mlp"),
        "ilca-svm": partial(across_layers, kind="svm"),
    }
}
