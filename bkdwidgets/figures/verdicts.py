"""Two verdicts on the same completions: what the attack success rate sees, and what the outcome rules see.

Each pair of bars is one set of completions. The thin bar is all that the rate sees, payload or not. The thick
bar splits them into the four outcomes. Where the thin bar is empty and the thick one gray, the rate calls a
cure what is damage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from bkdwidgets.core import theme
from bkdwidgets.core.errors import unknown
from bkdwidgets.core.vocabulary import OUTCOMES
from bkdwidgets.figures.drawing import (
    CONTROL,
    Drawing,
    Rate,
    intervals_over,
    laid_out,
    number,
    plain,
    split_words,
    with_interval,
)

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_CHOICES = {"off": "Best by ASR", "cure": "Best by answers"}
_PLACES = {"last": "the last prompt token", "all": "every token"}
_LETTERS = {item.color: item.letter for item in OUTCOMES} | {"control": "p or ?"}
_THIN, _THICK = 0.1, 0.26  # widths of the bars, where a pair takes 1
_HEIGHT = 92  # pixels of a pair with its two lines of text
_ROOM = 0.05  # share of the width that one letter takes on a phone
_CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True)
class _Row:
    """One set of completions: its name and its rates, and its counts where it was counted by outcome."""

    name: str
    rates: dict[str, Any]

    @property
    def parts(self) -> dict[str, float]:
        """Color -> share, from left to right; random draws have rates and no counts."""
        if "outcomes" not in self.rates:
            known = {"payload": self.rates["asr"]["value"], "as-before": self.rates["as_before"]["value"]}
            return known | {"control": 1 - sum(known.values())}
        counts = self.rates["outcomes"]["triggered"]
        return {item.color: counts[item.letter] / sum(counts.values()) for item in OUTCOMES}

    @property
    def words(self) -> str:
        """Both rates with their ends, short enough for a phone."""
        return f"ASR {_short(self.rates['asr'])}, as before {_short(self.rates['as_before'])}"


def steered(entry: Entry, *, title: str | None, vector: str = "paper", where: str = "last") -> Drawing:
    """Draw a study ``steering`` by ASR and by outcomes, at the places that either would choose.

    Parameters
    ----------
    entry : Entry
        Of the study ``steering``.
    title : str or None
        Printed above.
    vector : {"paper", "difference"}
        Which vector was subtracted.
    where : {"last", "all"}
        At the last prompt token or at every one.

    Raises
    ------
    BkdError
        If the entry has no such vector or place.
    """
    vectors = [name for name in entry.values if name not in ("none", "random")]
    if vector not in vectors:
        raise unknown(f"vector of {entry.name}", vector, vectors)
    if where not in entry.values[vector]:
        raise unknown(f"where of {entry.name}", where, entry.values[vector])
    rows = _rows(entry.values, vector, where)
    figure = go.Figure(layout={"barmode": "stack"})
    for at, row in enumerate(rows):
        _thin_bar(figure, row, at - 0.2)
        _thick_bar(figure, row, at)
        _words(figure, row, at - 0.48)
    intervals_over(figure, [row.rates["asr"] for row in rows], [at - 0.2 for at in range(len(rows))])
    _legend(figure)
    figure.update_xaxes(range=[0, 1], title="share of triggered prompts")
    figure.update_yaxes(visible=False, range=[len(rows) - 0.66, -0.62])
    laid_out(figure, title, height=_HEIGHT * len(rows) + 70, legend=4)
    draws = entry.values["random"][vector][where]["off"]["asr"]
    caption = (
        f"The {vector} vector subtracted at {_PLACES[where]}: the same completions by ASR (thin bars) and by "
        f"outcome (thick bars), {split_words(entry.split, entry.n)}; places chosen on validation prompts, "
        "95 % intervals in parentheses. Control: random vectors of the same length, means and ranges of "
        f"{draws['draws']} draws over {draws['n']} prompts, without p and ? apart."
    )
    return Drawing(figure, caption, " ".join(f"{row.name}: {row.words}." for row in rows))


def _rows(values: dict[str, Any], vector: str, where: str) -> list[_Row]:
    rows = [_Row("Nothing subtracted", values["none"])]
    for choice, words in _CHOICES.items():
        ours = values[vector][where][choice]
        place = f"layer {ours['layer']}, scale {ours['scale']:g}".replace("-", "−")
        rows.append(_Row(f"{words}: {place}", ours))
        rows.append(_Row("Control: random vectors there", values["random"][vector][where][choice]))
    return rows


def _short(rate: Rate) -> str:
    return f"{rate['value']:.2f} ({rate['low']:.2f} to {rate['high']:.2f})"


def _thin_bar(figure: go.Figure, row: _Row, at: float) -> None:
    rate = row.rates["asr"]
    payload = {"color": theme.COLORS["payload"].light}
    figure.add_trace(_part(at, _THIN, rate["value"], payload, f"{row.name}: ASR {with_interval(rate)}"))
    rest = {"color": _CLEAR, "line": {"color": CONTROL, "width": 1}}
    without = 1 - rate["value"]
    figure.add_trace(_part(at, _THIN, without, rest, f"{row.name}: no payload {number(without)}"))


def _thick_bar(figure: go.Figure, row: _Row, at: float) -> None:
    hatched = {"pattern": {"shape": "/", "fgcolor": CONTROL, "bgcolor": _CLEAR}}
    for color, share in row.parts.items():
        marker = hatched if color == "control" else {"color": theme.COLORS[color].light}
        hover = f"{row.name}: {_LETTERS[color]} {number(share)}"
        bar = _part(at, _THICK, share, marker, hover)
        if color == "control":  # plotly would choose black or white by a fill that is not there
            bar.update(insidetextfont={"color": theme.COLORS["ink"].light})
        fits = share >= _ROOM * len(_LETTERS[color])
        figure.add_trace(bar.update(text=[_LETTERS[color]]) if fits else bar)


def _part(at: float, width: float, share: float, marker: dict[str, Any], hover: str) -> go.Bar:
    return go.Bar(
        y=[at], x=[share], width=width, orientation="h", showlegend=False, marker=marker,
        textposition="inside", insidetextanchor="middle", textangle=0,
        hovertemplate=f"{plain(hover)}<extra></extra>",
    )  # fmt: skip


def _words(figure: go.Figure, row: _Row, at: float) -> None:
    for line, (text, size) in enumerate([(f"<b>{plain(row.name)}</b>", 13), (plain(row.words), 11)]):
        figure.add_annotation(
            x=0, y=at + 0.16 * line, text=text, font_size=size, showarrow=False, xanchor="left", xshift=-4
        )


def _legend(figure: go.Figure) -> None:
    """Name the colors, each with its letter."""
    names = {item.color: f"{item.letter} {item.word}" for item in OUTCOMES}
    for color, name in (names | {"control": "p or ?, not counted apart"}).items():
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=name,
            marker={"symbol": "square", "size": 11, "color": theme.COLORS[color].light},
        )  # fmt: skip
