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

from bkdwidgets import look
from bkdwidgets.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

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


def _matrix(acie: ArrayLike) -> NDArray[np.float64]:
    """Return `acie` as a float matrix, or say what it is instead."""
    source: Any = acie
    values = np.asarray(source, dtype=np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise BkdError(f"acie must be a finite matrix [layer, head], got shape {list(values.shape)}")
    return values
