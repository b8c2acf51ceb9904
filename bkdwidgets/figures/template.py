"""The plotly template ``"bkdwidgets"``; importing this module registers it."""

from __future__ import annotations

import plotly.graph_objects as go
import plotly.io as pio

from bkdwidgets.core.theme import COLORS, FONT

# One gray that can be read on white and on dark paper alike: a plotly figure is drawn once, before
# anybody knows which of the two its reader prefers.
EITHER_INK = "#7A7F87"

# The middle is transparent rather than white, so that "no effect" is the paper, whichever it is.
DIVERGING = (
    (0.0, "#0072B2"),
    (0.499, "rgba(0,114,178,0)"),  # each side fades in its own hue: a grey middle would muddy small effects
    (0.501, "rgba(213,94,0,0)"),
    (1.0, "#D55E00"),
)

TEMPLATE = "bkdwidgets"

AIR = 20
"""Pixels above a plot that has no title."""


def register_template() -> None:
    """Register the plotly template ``"bkdwidgets"``."""
    axis = {
        "gridcolor": "rgba(127,127,127,0.18)",
        "linecolor": "rgba(127,127,127,0.45)",
        "zerolinecolor": "rgba(127,127,127,0.45)",
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "rgba(127,127,127,0.45)",
        "title": {"standoff": 10},
        "automargin": True,
        "fixedrange": True,  # a drag, or a finger that scrolls the page, must not zoom
    }
    pio.templates[TEMPLATE] = go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 14, "color": EITHER_INK},
            "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 16}},
            "dragmode": False,
            # What nobody gave a color has no meaning, and must not look as if it had one.
            "colorway": [tone.light for name, tone in COLORS.items() if name.startswith("series-")],
            "colorscale": {"diverging": [list(stop) for stop in DIVERGING]},
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 64, "r": 24, "t": 56, "b": 56},
            "hoverlabel": {"font": {"family": FONT, "size": 13}},
            "legend": {"orientation": "h", "y": 1.08, "x": 0},
        }
    )


register_template()
