"""Ablation: a rate against the number of heads that are taken out, beside random heads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.core.errors import unknown
from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_PLACES = {"last": "at the last token of the prompt", "all": "at all tokens"}
_APART = 1.05  # the kinds stand a little apart on the logarithmic axis, so that no bar hides another
_NONE = 0.5  # where "no head" stands on an axis that has no zero


def rates(entry: Entry, *, title: str | None, rate: str, where: str = "last") -> drawing.Drawing:
    """Draw a rate of an ``ablation`` entry, a line per kind."""
    values, kinds = entry.values, entry.settings["kinds"]
    if where not in entry.settings["where"]:
        raise unknown(f"where of {entry.name}", where, entry.settings["where"])
    ks = [int(k) for k in values[kinds[0]][where]]
    figure = go.Figure()
    control = _random_heads(figure, entry, where, rate, ks)
    none, places = values["none"][rate], [_NONE, *ks]
    lines = {kind: [none, *(values[kind][where][str(k)][rate] for k in ks)] for kind in kinds}
    for mark, (kind, line) in enumerate(lines.items()):
        shift = _APART ** (mark - (len(kinds) - 1) / 2)
        trace = drawing.line(
            [place * shift for place in places], line, f"{kind} ablation", drawing.COLOR_OF[rate], mark
        )
        hovers = [(*item, k) for item, k in zip(trace.customdata, (0, *ks), strict=True)]
        figure.add_trace(trace.update(customdata=hovers, hovertemplate=f"{kind}{_HOVER}"))
    figure.update_xaxes(
        title="heads ablated, strongest first", type="log", tickvals=places, ticktext=["0", *map(str, ks)]
    )
    figure.update_yaxes(title=drawing.AXES[rate], range=[-0.02, 1.03])
    drawing.laid_out(figure, title, height=380, legend=3)
    caption = (
        f"{drawing.WORDS[rate]} when the strongest heads are ablated {_PLACES[where]}, "
        f"{drawing.split_words(entry.split, none['n'])}; bars are 95 % intervals. Nothing ablated: "
        f"{drawing.with_interval(none)}. {control}"
    )
    alt = " ".join(
        [f"{drawing.WORDS[rate]} against the number k of ablated heads, {_PLACES[where]}."]
        + [
            drawing.in_words(kind, [f"k = {k}" for k in (0, *ks)], [item["value"] for item in line])
            for kind, line in lines.items()
        ]
        + [control]
    )
    return drawing.Drawing(figure, caption, alt)


_HOVER = (
    " ablation, k = %{customdata[3]}: %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), "
    "n = %{customdata[2]}<extra></extra>"
)


def _random_heads(figure: go.Figure, entry: Entry, where: str, rate: str, ks: list[int]) -> str:
    """Draw the band of random heads, and say what it is, or that it was not measured here."""
    drawn = [places[where] for places in entry.values["random"].values() if where in places]
    if not drawn:
        places = drawing.listed(entry.settings["random_where"])
        return f"Control: random heads were measured with where={places!r} only."
    cells = [[place[str(k)][rate] for place in drawn] for k in ks]
    low, high = [min(c["low"] for c in row) for row in cells], [max(c["high"] for c in row) for row in cells]
    mean = [sum(c["value"] for c in row) / len(row) for row in cells]
    name = "random heads (control)"
    figure.add_trace(drawing.band(ks, low, high, name).update(showlegend=False, legendgroup=name))
    figure.add_scatter(
        x=ks, y=mean, name=name, mode="lines", legendgroup=name,
        line={"color": drawing.CONTROL, "width": 1.5, "dash": "dash"},
        hovertemplate="random heads, mean of all draws: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    first = cells[0][0]
    return (
        f"Control, gray: random heads of the same layers, mean and range of {first['draws']} draws per kind "
        f"with {entry.settings['random_n']} prompts each; mean {drawing.number(mean[-1])} at {ks[-1]} heads."
    )


SHOWS: drawing.Shows = {
    "ablation": {name: partial(rates, rate=name) for name in ("asr", "as_before", "utility", "ftr")},
}
