"""Outcomes: how many completions are the payload, the old answer, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.core import theme
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.core.statistics import wilson_ends
from bkdwidgets.core.vocabulary import LETTERS, OUTCOMES, WORDS
from bkdwidgets.figures import drawing, template

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_ROOM = 0.05  # share of the width that a letter takes on a phone


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
        Bars from 0 to 1, every part named by its letter and its word; the line over the end of the
        payload's part is its 95 % interval.

    Raises
    ------
    BkdError
        If a condition counts a letter that means nothing, or counts nothing at all.
    """
    figure = go.Figure()
    totals: dict[str, int] = {}
    for condition, counts in shares.items():
        if not isinstance(counts, Mapping):
            raise BkdError(f"outcomes of {condition!r} must be counts by letter; got {shown(counts)}")
        strange = sorted(set(counts) - set(LETTERS))
        totals[condition] = sum(counts.values())
        if strange or totals[condition] <= 0:
            raise BkdError(
                f"outcomes of {condition!r} must be counts of {', '.join(LETTERS)}; got {dict(counts)}"
            )
    for item in OUTCOMES:
        parts = [(int(counts.get(item.letter, 0)), totals[name]) for name, counts in shares.items()]
        figure.add_bar(
            y=list(shares),
            x=[count / total for count, total in parts],
            customdata=parts,
            name=f"{item.letter} {item.word}",
            orientation="h",
            marker={"color": theme.COLORS[item.color].light},
            textangle=0,
            textposition="inside",
            insidetextanchor="middle",
            text=[item.letter if count >= _ROOM * total else "" for count, total in parts],
            hovertemplate=f"%{{y}}: {item.word} %{{customdata[0]}} of %{{customdata[1]}}<extra></extra>",
        )
    drawing.intervals_over(
        figure, [_payload(counts, totals[name]) for name, counts in shares.items()], list(shares)
    )
    figure.update_layout(
        template=template.TEMPLATE, barmode="stack", title=title, height=130 + 46 * len(shares), bargap=0.35
    )
    figure.update_xaxes(range=[0, 1], title="share of prompts")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def measured(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw the outcomes of a ``measure`` entry beside those of the clean model."""
    shares = {
        _SIDES[side].format(model): {letter: letters.count(letter) for letter in LETTERS}
        for model, values in (("backdoored", entry.values), ("clean model", entry.values["control"]))
        for side, letters in values["letters"].items()
    }
    figure = outcome_bars(shares)
    figure.update_traces(width=0.62, selector={"type": "bar"})
    drawing.laid_out(figure, title, height=90 + 44 * len(shares), legend=2)
    totals = {condition: sum(counts.values()) for condition, counts in shares.items()}
    each = drawing.listed(sorted(set(totals.values())))
    caption = (
        f"What came out, as shares of {each} {entry.split} prompts per bar (n = {entry.n}); the thin line "
        "is the 95 % interval of the payload's share. Payload on triggered prompts (ASR): "
        f"{drawing.with_interval(entry.values['asr'])}. Control: the clean model on the same prompts, "
        f"{drawing.with_interval(entry.values['control']['asr'])}."
    )
    alt = "Stacked bars of outcomes. " + " ".join(
        f"{condition.replace('<br>', ' ')}: "
        + ", ".join(f"{WORDS[letter]} {count}" for letter, count in counts.items())
        + f" of {totals[condition]}."
        for condition, counts in shares.items()
    )
    return drawing.Drawing(figure, caption, alt)


_SIDES = {
    "triggered": "{}:<br>triggered",
    "clean": "{}:<br>clean",
    "spared": "{}:<br>triggered, spared",
    "other": "{}:<br>clean, spared",
}
"""Prompts in the ledger's words -> the words on a bar."""


def _payload(counts: Mapping[str, int], total: int) -> drawing.Rate:
    """Return the payload's share, which is the first part and so starts at 0, with its interval."""
    share = int(counts.get("P", 0)) / total
    low, high = wilson_ends(share, total)
    return {"value": share, "low": float(low), "high": float(high), "n": total}


SHOWS: drawing.Shows = {"measure": {"outcomes": measured}}
