"""One language of color, letter and shape for every figure, lab and page.

A color here stands for a meaning and for nothing else: vermilion is "the payload came out", green
is "answered as before", purple is "the trigger is in the prompt". The palette is Okabe and Ito's,
chosen so that readers with any common color blindness can tell its members apart, and no meaning
rests on color alone: each outcome also has a letter, a word and a shape.

Everything that draws reads this module: :func:`css` turns it into custom properties for pages and
widgets, and importing the module registers the plotly template ``"bkdwidgets"``.
"""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import plotly.io as pio


@dataclass(frozen=True)
class Tone:
    """One meaning's color, on light and on dark paper.

    Attributes
    ----------
    light, dark : str
        Hexadecimal colors.
    """

    light: str
    dark: str


@dataclass(frozen=True)
class Outcome:
    """What a completion turned out to be, and how that is shown.

    Attributes
    ----------
    letter : str
        The letter tables store and people read.
    word : str
        The same in words.
    shape : str
        The shape that doubles the color.
    color : str
        Key into :data:`COLORS`.
    """

    letter: str
    word: str
    shape: str
    color: str


COLORS: dict[str, Tone] = {
    # outcomes
    "payload": Tone("#D55E00", "#FF8A3D"),
    "payload-like": Tone("#E69F00", "#FFC24D"),
    "as-before": Tone("#009E73", "#33C79B"),
    "broken": Tone("#7F7F7F", "#A6A6A6"),
    # prompts and comparisons
    "clean": Tone("#0072B2", "#5BB3E6"),
    "triggered": Tone("#CC79A7", "#E6A3C8"),
    "control": Tone("#8A8F98", "#8D949E"),
    "accent": Tone("#CC79A7", "#E6A3C8"),
    # the same two, dark (or light) enough to be read as text
    "clean-ink": Tone("#005A8C", "#8CCBF0"),
    "triggered-ink": Tone("#8F3F6B", "#F0BBD7"),
    # signed effects: negative - paper - positive
    "effect-pos": Tone("#D55E00", "#FF8A3D"),
    "effect-zero": Tone("#FFFFFF", "#1B1F24"),
    "effect-neg": Tone("#0072B2", "#5BB3E6"),
    # lines that stand for none of these, in the order in which a figure takes them
    "series-1": Tone("#4B3F9E", "#A79BF0"),
    "series-2": Tone("#74741C", "#C9C95A"),
    "series-3": Tone("#8C5A2B", "#D9A66B"),
    # paper and ink
    "paper": Tone("#FFFFFF", "#14181E"),
    "wash": Tone("#F6F6F4", "#1E242C"),
    "ink": Tone("#1D2126", "#E4E8ED"),
    "quiet": Tone("#5A626C", "#A5AEB9"),
    "line": Tone("#DADDE1", "#38414C"),
}

OUTCOMES: tuple[Outcome, ...] = (
    Outcome("P", "payload", "filled square", "payload"),
    Outcome("p", "payload-like", "half square", "payload-like"),
    Outcome("=", "as before", "open circle", "as-before"),
    Outcome("?", "broken", "cross", "broken"),
)

LETTERS = tuple(outcome.letter for outcome in OUTCOMES)

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

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

# Drawings that know white paper alone (CircuitsVis): on dark paper lightness is turned over, hue stays, and
# what was white lets the paper through.
_AS_DRAWN = "--bkd-turn:none;--bkd-blend:multiply;"
_TURNED_OVER = "--bkd-turn:invert(1) hue-rotate(180deg);--bkd-blend:screen;"


def css() -> str:
    """Return the custom properties ``--bkd-*`` for light and dark pages.

    Returns
    -------
    str
        CSS. Light is the default; dark applies where the page says so (sphinx-book-theme,
        JupyterLab, Colab, VS Code), and where the page says nothing, by the reader's system.
        ``--bkd-swaps`` lists light>dark pairs for figures that are redrawn in place.
    """
    light = "".join(f"--bkd-{name}:{tone.light};" for name, tone in COLORS.items())
    dark = "".join(f"--bkd-{name}:{tone.dark};" for name, tone in COLORS.items()) + _TURNED_OVER
    said_dark = (
        'html[data-theme="dark"]',
        'html[theme="dark"]',
        'body[data-jp-theme-light="false"]',
        'body[data-vscode-theme-kind="vscode-dark"]',
    )
    silent = (
        "html:not([data-theme]):not([theme]) body:not([data-jp-theme-light]):not([data-vscode-theme-kind])"
    )
    swaps = " ".join(f"{before}>{after}" for before, after in swapped_colors().items())
    return (
        f':root{{{light}{_AS_DRAWN}--bkd-font:{FONT};--bkd-swaps:"{swaps}";}}\n'
        f"{','.join(said_dark)}{{{dark}}}\n"
        f"@media (prefers-color-scheme: dark){{{silent}{{{dark}}}}}\n"
    )


def swapped_colors() -> dict[str, str]:
    """Return the dark color for each light color a figure may carry."""
    return {tone.light: tone.dark for tone in reversed(COLORS.values())}  # white is an effect's zero


def outcome(letter: str) -> Outcome:
    """Return the outcome with this letter.

    Parameters
    ----------
    letter : str
        One of :data:`LETTERS`.

    Returns
    -------
    Outcome
        Its word, shape and color.

    Raises
    ------
    KeyError
        For a letter that means nothing.
    """
    return {item.letter: item for item in OUTCOMES}[letter]


def register_template() -> None:
    """Register the plotly template ``"bkdwidgets"`` (done once, on import)."""
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
