"""One language of color, letter and shape for every figure, lab and page.

A color here stands for a meaning and for nothing else: vermilion is "the payload came out", green
is "answered as before", purple is "the trigger is in the prompt". The palette is Okabe and Ito's,
chosen so that readers with any common color blindness can tell its members apart, and no meaning
rests on color alone: each outcome also has a letter, a word and a shape
(:data:`bkdwidgets.core.vocabulary.OUTCOMES`).

Everything that draws reads this module: :func:`css` turns it into custom properties for pages and
widgets, :mod:`bkdwidgets.figures.template` into a plotly template.
"""

from __future__ import annotations

from dataclasses import dataclass


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

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

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
