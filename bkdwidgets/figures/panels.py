"""Several small plots in one figure: where each stands, its frame, and its headline."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

_GAP = 0.035

Span = tuple[float, float]
"""Where something begins and ends, in shares of the figure."""


def span(place: int, of: int) -> Span:
    """Return where the panel of a number begins and ends in a line of so many."""
    width = (1 - _GAP * (of - 1)) / of
    return place * (width + _GAP), place * (width + _GAP) + width


def axes(figure: go.Figure, number: int, across: Span, up: Span) -> None:
    """Put the axes of a number where their panel stands, framed and without a grid."""
    frame = {
        "showgrid": False, "zeroline": False, "mirror": True, "showline": True, "automargin": False,
        "tickfont": {"size": 10},
    }  # fmt: skip
    figure.update_layout(
        {
            f"xaxis{number}": {"domain": across, "anchor": f"y{number}", **frame},
            f"yaxis{number}": {"domain": up, "anchor": f"x{number}", **frame},
        }
    )


def headline(figure: go.Figure, text: str, across: Span, top: float) -> None:
    """Write above a panel what it shows."""
    figure.add_annotation(
        text=text, x=sum(across) / 2, y=top, xref="paper", yref="paper", xanchor="center", yanchor="bottom",
        showarrow=False, font={"size": 11},
    )  # fmt: skip
