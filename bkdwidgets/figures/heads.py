"""Heads: the heatmap of their effects, how firm their ranking is, and the gradient's guess of it.

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

from bkdwidgets.core import ledger, theme
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.core.heads import check_inside, head_name, heads_of, pairs_of
from bkdwidgets.core.statistics import bootstrap_counts
from bkdwidgets.figures import drawing, template

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

# How many of the strongest heads get their rank printed on the map.
_NAMED = 10
# The stability of a ranking: heads shown, and bootstrap draws of the prompts behind it.
_SHOWN = 16
_DRAWS = 1000


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
            colorscale=[list(stop) for stop in template.DIVERGING],
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
    for rank, (layer, head) in enumerate(_ranked(ranked, layers, heads), start=1):
        figure.add_annotation(
            x=head, y=layer, text=str(rank), showarrow=False, font={"size": 11}, borderpad=0.5,
            bgcolor=theme.COLORS["paper"].light,  # on the strongest cells no ink can be read on both papers
        )  # fmt: skip
    frame = {"showgrid": False, "zeroline": False, "mirror": True, "showline": True}
    figure.update_xaxes(title="head", dtick=1, **frame)
    figure.update_yaxes(title="layer", autorange="reversed", tick0=0, dtick=max(1, layers // 10), **frame)
    figure.update_layout(template=template.TEMPLATE, title=title, height=max(300, 130 + 15 * layers))
    return figure


def _ranked(ranked: Iterable[tuple[int, int]] | None, layers: int, heads: int) -> list[tuple[int, int]]:
    """Return the heads that get their rank printed, or refuse what is no head of the map."""
    pairs = pairs_of("ranked", ranked)
    check_inside(pairs, (layers, heads), "the map")
    return list(pairs[:_NAMED])


def _matrix(acie: ArrayLike) -> NDArray[np.float64]:
    """Return `acie` as a float matrix, or say what it is instead."""
    source: Any = acie
    if hasattr(source, "acie"):
        raise BkdError(f"acie={shown(acie)} is a result, not a matrix; give its .acie")
    try:
        values = np.asarray(source, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BkdError(f"acie={shown(acie)} is not a finite matrix [layer, head]") from error
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise BkdError(f"acie must be a finite matrix [layer, head], got shape {list(values.shape)}")
    return values


def effects(entry: ledger.Entry, *, title: str | None) -> drawing.Drawing:
    """Draw the effect of every head of an ``attribute`` entry."""
    values = entry.values
    acie, errors = np.array(values["acie"]), np.array(values["standard_error"])
    ranked = heads_of(values["ranked"])
    figure = acie_heatmap(acie, ranked=ranked)
    half = _half_width(errors, entry.n)
    names = np.array(
        [[head_name((layer, head)) for head in range(acie.shape[1])] for layer in range(len(acie))]
    )
    figure.update_traces(
        customdata=np.stack(
            [names, *(np.round(end, 4).astype(str) for end in (acie - half, acie + half))], -1
        ),
        hovertemplate="%{customdata[0]} ACIE %{z:.4f} (%{customdata[1]} to %{customdata[2]})<extra></extra>",
    )
    drawing.laid_out(figure, title, height=max(320, 110 + 15 * len(acie)))
    control = values["control"]["strongest"]
    caption = (
        "Average causal indirect effect (ACIE) of each head on the probability of the payload; the ten "
        f"strongest carry their rank. {drawing.split_words(entry.split, entry.n)}; hover for each head's 95 "
        f"% interval. Control: the strongest head of the clean model has {drawing.with_interval(control)}, n "
        f"= "
        f"{control['n']}."
    )
    strongest = ", ".join(
        f"{values['ranked'][rank]} {acie[head]:+.4f}" for rank, head in enumerate(ranked[:5])
    )
    lowest = ranked[-1]
    alt = (
        f"Heatmap of the ACIE of {acie.size} heads, {acie.shape[0]} layers by {acie.shape[1]} heads. "
        f"Strongest: {strongest}. Most negative: {head_name(lowest)} {acie[lowest]:+.4f}. "
        f"{int((np.abs(acie) < acie[ranked[0]] / 10).sum())} heads have less than a tenth of the strongest "
        "effect."
    )
    return drawing.Drawing(figure, caption, alt)


def stability(entry: ledger.Entry, *, title: str | None) -> drawing.Drawing:
    """Draw the strongest heads with their intervals, and how often other prompts would choose them."""
    values, k = entry.values, entry.settings["k"]
    per_prompt, names = np.array(values["per_prompt"]), values["ranked"][:_SHOWN]
    heads = len(values["acie"][0])
    places = np.array([layer * heads + head for layer, head in heads_of(names)])
    acie, share = per_prompt.mean(0)[places], _membership(per_prompt, k)[places]
    half = _half_width(per_prompt.std(0, ddof=1)[places] / len(per_prompt) ** 0.5, len(per_prompt))
    random, firm = values["held_out"]["random"], np.isin(names, values["stability"][str(k)]["firm"])
    figure, rows = go.Figure(), np.arange(len(names))
    figure.add_trace(_random_band(random, len(names)))
    for chosen, symbol, what in ((firm, "circle", "95 % of draws or more"), (~firm, "circle-open", "fewer")):
        figure.add_scatter(
            x=acie[chosen],
            y=rows[chosen],
            error_x={"type": "data", "array": half[chosen], "width": 0, "thickness": 1.5},
            customdata=np.stack([half[chosen], share[chosen]], -1),
            text=np.array(names)[chosen],
            mode="markers",
            marker={
                "symbol": symbol,
                "size": 9,
                "color": theme.COLORS["payload"].light,
                "line": {"width": 2},
            },
            name=f"in the top {k} in {what}",
            hovertemplate="%{text} ACIE %{x:.4f} ± %{customdata[0]:.4f}, in the top "
            f"{k} in %{{customdata[1]:.0%}} of draws<extra></extra>",
        )
    for row, part in enumerate(share):
        figure.add_annotation(
            x=1, xref="paper", xanchor="right", y=row, text=f"{part:.0%}", showarrow=False, font={"size": 12}
        )
    low = min(0.0, random["low"], float((acie - half).min()))
    figure.update_xaxes(title="ACIE", range=[low * 1.1, float((acie + half).max()) * 1.22])
    figure.update_yaxes(
        tickvals=rows, ticktext=names, range=[len(names) - 0.4, -0.6], showgrid=False, zeroline=False
    )
    drawing.laid_out(figure, title, height=110 + 24 * len(names), legend=3)
    overlap = values["stability"][str(k)]
    caption = (
        f"The {len(names)} strongest heads with the 95 % interval of their effect, and at the right how "
        f"often each is among the top {k} when the prompts are drawn again ({_DRAWS:,} bootstrap draws, "
        f"{drawing.split_words(entry.split, entry.n)}). Two such draws share "
        f"{drawing.with_interval(overlap['jaccard'])} of their top {k} (Jaccard); control: two random sets "
        f"share "
        f"{drawing.number(overlap['chance'])}. Gray band: the mean effect of {random['draws']} random sets "
        f"of {k} heads."
    )
    alt = (
        f"Dots with intervals for the {len(names)} strongest heads. "
        + drawing.in_words("Effect", names, acie)
        + f" Share of draws in the top {k}: "
        + ", ".join(f"{name} {part:.0%}" for name, part in zip(names, share, strict=True))
        + "."
    )
    return drawing.Drawing(figure, caption, alt)


def agreement(entry: ledger.Entry, *, title: str | None) -> drawing.Drawing:
    """Draw the gradient's guess against the exact effect, a dot per head."""
    exact_entry = ledger.published(f"{entry.subject}/{entry.adapter}/attribute")
    guess, exact = np.array(entry.values["acie"]).ravel(), np.array(exact_entry.values["acie"]).ravel()
    half = _half_width(np.array(exact_entry.values["standard_error"]).ravel(), exact_entry.n)
    k = next(iter(entry.values["shared"]))
    heads = len(entry.values["acie"][0])
    names = np.array([head_name(divmod(index, heads)) for index in range(exact.size)])
    best = np.isin(names, exact_entry.values["ranked"][: int(k)])
    figure = go.Figure()
    ends = [float(min(guess.min(), exact.min())), float(max(guess.max(), exact.max()))]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="the guess is exact", hoverinfo="skip",
        line={"color": drawing.CONTROL, "dash": "dash", "width": 1.5},
    )  # fmt: skip
    for chosen, symbol, what in (
        (~best, "circle-open", "other heads"),
        (best, "diamond", f"the {k} strongest"),
    ):
        color = theme.COLORS["payload"].light if symbol == "diamond" else drawing.CONTROL
        figure.add_scatter(
            x=guess[chosen],
            y=exact[chosen],
            error_y={"type": "data", "array": half[chosen], "width": 0, "thickness": 1},
            customdata=np.stack([names[chosen], np.round(half[chosen], 4).astype(str)], -1),
            mode="markers",
            marker={"symbol": symbol, "size": 8, "color": color},
            name=what,
            hovertemplate="%{customdata[0]}: exact %{y:.4f} ± %{customdata[1]}, guess %{x:.4f}"
            "<extra></extra>",
        )
    figure.update_xaxes(title="guess from one gradient")
    figure.update_yaxes(title="exact ACIE")
    drawing.laid_out(figure, title, height=380, legend=2)
    spearman, shared = entry.values["spearman"], entry.values["shared"]
    overlaps = drawing.listed(f"{item['value']:.0%} of the top {size}" for size, item in shared.items())
    caption = (
        "One dot per head: the first-order guess against the exact effect with its 95 % interval, "
        f"{drawing.split_words(entry.split, entry.n)}. Rank correlation {drawing.with_interval(spearman)}; "
        f"shared: "
        f"{overlaps}. The dashed line is where guess and exact effect are equal."
    )
    alt = (
        f"Scatter of {exact.size} heads, guess from {drawing.number(guess.min())} to "
        f"{drawing.number(guess.max())}, exact effect from {drawing.number(exact.min())} to "
        f"{drawing.number(exact.max())}; rank correlation {drawing.with_interval(spearman)}. The {k} "
        f"strongest: "
        + ", ".join(f"{name} guess {guess[place]:.3f} exact {exact[place]:.3f}"
                    for place, name in enumerate(names) if best[place])
        + "."
    )  # fmt: skip
    return drawing.Drawing(figure, caption, alt)


def _half_width(errors: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return half the width of Student's 95 % interval of means over n prompts."""
    from scipy.stats import t as student_t  # type: ignore[import-untyped]  # slow to import

    return errors * float(student_t.ppf(0.975, n - 1))


def _random_band(random: drawing.Rate, rows: int) -> go.Scatter:
    """Return the band that the mean effects of random sets of heads fall into."""
    low, high, ends = random["low"], random["high"], (-0.6, rows - 0.4)
    box = drawing.band([low, high], [ends[0]] * 2, [ends[1]] * 2, "random heads (control)")
    return box.update(line_width=1)


def _membership(per_prompt: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the share of bootstrap draws over prompts in which each head is among the top k."""
    n = len(per_prompt)
    weights = bootstrap_counts(n, _DRAWS, seed=0) / n
    top = np.argpartition(-(weights @ per_prompt), k - 1, axis=1)[:, :k]
    return np.bincount(top.ravel(), minlength=per_prompt.shape[1]) / _DRAWS


SHOWS: drawing.Shows = {
    "attribute": {"heads": effects, "stability": stability},
    "screen": {"agreement": agreement},
}
