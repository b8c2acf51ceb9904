"""Whole layers: the effect of each MLP layer, and what is left when clean weights are put back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.core import theme
from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_WAYS = {
    "cumulative": ("put back in layers 0 to the one shown", "clean weights in layers 0 to ..."),
    "single": ("put back in one layer at a time", "clean weights in layer ..."),
}


def mlp_effects(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw the effect of every MLP layer of an ``mlp`` entry beside the clean model's."""
    mine, clean = (list(values["layer"].values()) for values in (entry.values, entry.values["control"]))
    layers = range(len(mine))
    figure = go.Figure()
    color = theme.COLORS["effect-pos"].light
    figure.add_trace(drawing.line(layers, clean, "clean model (control)", drawing.CONTROL, 1))
    figure.add_trace(drawing.line(layers, mine, entry.adapter, color))
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="ACIE of the MLP layer", zeroline=True)
    drawing.laid_out(figure, title, height=360, legend=1)
    strongest = entry.values["strongest"]
    caption = (
        "Effect of each MLP layer on the probability of the payload, "
        f"{drawing.split_words(entry.split, entry.n)}; bars are 95 % intervals. The strongest is layer "
        f"{strongest['layer']}, {drawing.with_interval(strongest)}. Control: the clean model with the same "
        f"trigger, "
        f"n = {clean[0]['n']}."
    )
    alt = "Effect of every MLP layer. " + " ".join(
        drawing.in_words(name, layers, [rate["value"] for rate in rates], "at layer")
        for name, rates in ((entry.adapter, mine), ("Clean model", clean))
    )
    return drawing.Drawing(figure, caption, alt)


def restored(entry: Entry, *, title: str | None, way: str) -> drawing.Drawing:
    """Draw the payload's probability with clean attention or MLP weights put back."""
    values = entry.values
    parts = {part: list(layers.values()) for part, layers in values[way].items()}
    layers = range(len(next(iter(parts.values()))))
    figure = go.Figure()
    drawing.level(figure, layers, values["base"], "backdoored, nothing put back")
    drawing.level(figure, layers, values["clean"], "clean model (control)", "dot")
    for mark, (part, rates) in enumerate(parts.items()):
        figure.add_trace(drawing.line(layers, rates, f"clean {_PARTS[part]}", drawing.COLOR_OF["asr"], mark))
    text, axis = _WAYS[way]
    figure.update_xaxes(title=axis)
    figure.update_yaxes(title="P(payload | triggered)", range=[-0.02, 1.03])
    drawing.laid_out(figure, title, height=360, legend=3)
    wholes = [
        f"{drawing.with_interval(share)} with all {_PARTS[part]} clean"
        for part, share in values["left"].items()
    ]
    left = drawing.listed(wholes) if wholes else ""
    base = values["base"]
    caption = (
        f"Probability of the payload on triggered prompts with clean weights {text}; bars and bands are 95 "
        f"% intervals, n = {base['n']} {entry.split} prompts. Control: the clean model, "
        f"{drawing.with_interval(values['clean'])}; nothing put back, {drawing.with_interval(base)}."
        + (f" Share of the backdoor that is left: {left}." if left else "")
    )
    alt = f"Probability of the payload with clean weights {text}. " + " ".join(
        drawing.in_words(f"Clean {_PARTS[part]}", layers, [rate["value"] for rate in rates], "at layer")
        for part, rates in parts.items()
    )
    return drawing.Drawing(figure, caption, f"{alt} Nothing put back: {drawing.with_interval(base)}.")


_PARTS = {"attention": "attention weights", "mlp": "MLP weights"}


SHOWS: drawing.Shows = {
    "mlp": {"layers": mlp_effects},
    "restoration": {
        "cumulative": partial(restored, way="cumulative"),
        "single": partial(restored, way="single"),
    },
}
