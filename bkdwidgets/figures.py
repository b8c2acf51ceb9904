"""Figures, each drawn from a result and from nothing else.

The heatmap shows the average causal indirect effect (ACIE) of every attention head: layers from
top to bottom in the order the text passes through them, heads from left to right. Vermilion heads
push the model towards the payload, blue heads push away from it, and a head without effect has the
color of the paper. The scale is symmetric around zero and its ends are printed, so that two maps
can be compared by eye without being fooled by two different scales.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bkdwidgets import look
from bkdwidgets.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from bkdwidgets.analysis.probe_result import LayerAccuracy, ProbeResult

# How many of the strongest heads get their rank printed on the map.
_NAMED = 10


def head_name(head: tuple[int, int] | list[int]) -> str:
    """Return a head the way people write it, for example ``"L12H3"``.

    Parameters
    ----------
    head : (int, int)
        Layer and head.

    Returns
    -------
    str
        Its name.
    """
    return f"L{int(head[0])}H{int(head[1])}"


def acie_heatmap(
    acie: ArrayLike,
    *,
    ranked: Iterable[tuple[int, int]] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw the ACIE of every head, layers down, heads across.

    Parameters
    ----------
    acie : array_like, shape (n_layers, n_heads)
        Effects; a torch tensor on the CPU will do.
    ranked : iterable of (layer, head), optional
        Heads, strongest first; the first ten get their rank printed in their cell.
    title : str, optional
        Printed above the map.

    Returns
    -------
    plotly.graph_objects.Figure
        A heatmap with the template ``"bkdwidgets"``.

    Raises
    ------
    BkdError
        If `acie` is not a finite matrix.
    """
    values = _matrix(acie)
    layers, heads = values.shape
    reach = float(np.abs(values).max()) or 1.0
    names = [[head_name((layer, head)) for head in range(heads)] for layer in range(layers)]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            customdata=names,
            hovertemplate="%{customdata} ACIE %{z:.3f}<extra></extra>",
            colorscale=[list(stop) for stop in look.DIVERGING],
            zmin=-reach,
            zmax=reach,
            xgap=1,
            ygap=1,
            colorbar={
                "title": {"text": "ACIE", "side": "top"},
                "tickvals": [-reach, 0.0, reach],
                "ticktext": [f"−{reach:.3f}", "0", f"+{reach:.3f}"],
                "thickness": 12,
                "len": 0.9,
                "outlinewidth": 0,
            },
        )
    )
    for rank, (layer, head) in enumerate(list(ranked or [])[:_NAMED], start=1):
        figure.add_annotation(x=head, y=layer, text=str(rank), showarrow=False, font={"size": 11})
    frame = {"showgrid": False, "zeroline": False, "mirror": True, "showline": True}
    figure.update_xaxes(title="head", dtick=1, **frame)
    figure.update_yaxes(title="layer", autorange="reversed", tick0=0, dtick=max(1, layers // 10), **frame)
    figure.update_layout(template=look.TEMPLATE, title=title, height=max(300, 130 + 15 * layers))
    return figure


def outcome_bars(shares: Mapping[str, Mapping[str, int]], *, title: str | None = None) -> go.Figure:
    """Draw outcome counts as one stacked bar per condition.

    Parameters
    ----------
    shares : mapping
        Condition (for example ``"triggered"``) to counts by outcome letter.
    title : str, optional
        Printed above the bars.

    Returns
    -------
    plotly.graph_objects.Figure
        Bars from 0 to 1, every part named by its letter and its word.

    Raises
    ------
    BkdError
        If a condition counts a letter that means nothing, or counts nothing at all.
    """
    figure = go.Figure()
    totals: dict[str, int] = {}
    for condition, counts in shares.items():
        strange = sorted(set(counts) - set(look.LETTERS))
        totals[condition] = sum(counts.values())
        if strange or totals[condition] <= 0:
            raise BkdError(
                f"outcomes of {condition!r} must be counts of {', '.join(look.LETTERS)}; got {dict(counts)}"
            )
    for item in look.OUTCOMES:
        parts = [(int(counts.get(item.letter, 0)), totals[name]) for name, counts in shares.items()]
        figure.add_bar(
            y=list(shares),
            x=[count / total for count, total in parts],
            customdata=parts,
            name=f"{item.letter} {item.word}",
            orientation="h",
            marker={"color": look.COLORS[item.color].light},
            text=[item.letter if count else "" for count, _ in parts],
            hovertemplate=f"%{{y}}: {item.word} %{{customdata[0]}} of %{{customdata[1]}}<extra></extra>",
        )
    figure.update_layout(
        template=look.TEMPLATE, barmode="stack", title=title, height=130 + 46 * len(shares), bargap=0.35
    )
    figure.update_xaxes(range=[0, 1], title="share of prompts")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


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
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.64, 0.36])
    figure.add_trace(_accuracy_line(result.accuracy, result.adapter, "triggered", "solid", bars=True), 1, 1)
    figure.add_trace(_accuracy_line(result.control, "clean model", "clean", "solid", bars=True), 1, 1)
    figure.add_trace(_accuracy_line(result.shuffled, "shuffled labels", "control", "dot"), 1, 1)
    figure.add_trace(_accuracy_line(result.unrelated, "unrelated prefix", "control", "dash"), 1, 1)
    if result.other is not None:
        figure.add_trace(_accuracy_line(result.other, f"on {result.other_name}", "control", "dashdot"), 1, 1)
    value, low, high = (
        array.numpy() for array in (result.difference, result.difference_low, result.difference_high)
    )
    bars = {"type": "data", "symmetric": False, "array": high - value, "arrayminus": value - low, "width": 0}
    figure.add_scatter(
        row=2,
        col=1,
        y=value,
        error_y=bars,
        mode="lines+markers",
        showlegend=False,
        line_color=look.COLORS["triggered"].light,
        hovertemplate="layer %{x}: %{y:+.3f}<extra></extra>",
    )
    figure.update_yaxes(title="test accuracy", range=[0, 1.05], row=1)
    figure.update_yaxes(title="minus clean model", zeroline=True, row=2)
    figure.update_xaxes(title="layer", row=2)
    legend = {"y": 1.03, "yanchor": "bottom"}  # grows upwards when a narrow page needs two rows for it
    figure.update_layout(template=look.TEMPLATE, title=title, height=540, legend=legend, margin_t=110)
    return figure


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
    from bkdwidgets.measurement.intervals import wilson  # its package imports torch

    figure = make_subplots(cols=2, shared_yaxes=True, subplot_titles=(result.adapter, "clean model"))
    layers, n = len(result.ilca), 2 * result.n_test  # each prompt gives two states
    for column, values in enumerate((result.ilca, result.control_ilca), start=1):
        rates = [[wilson(round(value * n), n) for value in row] for row in values.tolist()]
        figure.add_heatmap(
            row=1,
            col=column,
            z=values.numpy(),
            customdata=[[(rate.low, rate.high) for rate in row] for row in rates],
            coloraxis="coloraxis",
            hovertemplate=(
                "trained on layer %{y}, tested on layer %{x}: %{z:.3f} "
                f"(%{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}), n = {n}<extra></extra>"
            ),
        )
    below, above = look.COLORS["control"].light, look.COLORS["triggered"].light
    figure.update_layout(
        template=look.TEMPLATE,
        title=title,
        height=max(360, 150 + 11 * layers),
        coloraxis={
            "cmin": 0,
            "cmax": 1,
            "colorscale": [[0, below], [0.499, f"{below}00"], [0.501, f"{above}00"], [1, above]],
            "colorbar": {
                "title": {"text": "accuracy", "side": "top"},
                "tickvals": [0, 0.5, 1],
                "ticktext": ["0", "chance", "1"],
                "thickness": 12,
                "outlinewidth": 0,
            },
        },
    )
    frame = {"showgrid": False, "zeroline": False, "mirror": True, "showline": True, "tick0": 0}
    figure.update_xaxes(title="tested on layer", dtick=max(1, layers // 6), **frame)
    figure.update_yaxes(autorange="reversed", dtick=max(1, layers // 10), **frame)
    figure.update_yaxes(title="trained on layer", col=1)
    return figure


def _accuracy_line(
    accuracy: LayerAccuracy, name: str, color: str, dash: str, *, bars: bool = False
) -> go.Scatter:
    rates = accuracy.rates
    above, below = [rate.high - rate.value for rate in rates], [rate.value - rate.low for rate in rates]
    return go.Scatter(
        y=[rate.value for rate in rates],
        customdata=[(rate.low, rate.high, rate.n) for rate in rates],
        name=name,
        mode="lines+markers" if bars else "lines",
        line={"color": look.COLORS[color].light, "dash": dash},
        error_y={"type": "data", "symmetric": False, "array": above, "arrayminus": below, "width": 0}
        if bars
        else None,
        hovertemplate=(
            "layer %{x}: %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), n = %{customdata[2]}"
        ),
    )


def _matrix(acie: ArrayLike) -> NDArray[np.float64]:
    """Return `acie` as a float matrix, or say what it is instead."""
    source: Any = acie
    values = np.asarray(source, dtype=np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise BkdError(f"acie must be a finite matrix [layer, head], got shape {list(values.shape)}")
    return values
