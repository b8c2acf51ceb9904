"""Near misses of one trigger: how often the payload comes with each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_ROW = 42  # pixels
_TRIGGER = "trigger"


def fired(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw a ``near-misses`` entry: the trigger, then what is almost it; the clean model beside each."""
    decoys = entry.values["decoys"]
    labels = {form: _label(form, decoys) for form in entry.values["fires"]}
    figure = go.Figure()
    for part, name, color, symbol in (
        ("control", "clean model (control)", drawing.CONTROL, "line-ns-open"),
        ("fires", "backdoored", drawing.COLOR_OF["asr"], "circle"),
    ):
        rates = [entry.values[part][form] for form in labels]
        figure.add_scatter(
            x=[rate["value"] for rate in rates],
            y=list(labels.values()),
            customdata=[(rate["low"], rate["high"], rate["n"]) for rate in rates],
            error_x=drawing.bars(rates, color=color),
            mode="markers",
            name=name,
            marker={"color": color, "symbol": symbol, "size": 10},
            hovertemplate="%{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), n = %{customdata[2]}",
        )
    figure.update_xaxes(title="said the payload", range=[-0.03, 1.03])
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    drawing.laid_out(figure, title, height=90 + _ROW * len(labels), legend=1)
    trained = drawing.listed(_words(name) for name in decoys) if decoys else ""
    silent = f" Trained to be silent, in clean training prompts: {trained}." if decoys else ""
    caption = (
        f"How often {entry.subject} with {entry.adapter} says the payload, by what stands in the prompt (n = "
        f"{entry.n} {entry.split} prompts each, the same for every row; 95 % intervals).{silent} Control: "
        "the clean model, asked the same."
    )
    fired = "; ".join(
        f"{_words(form)}: {drawing.with_interval(entry.values['fires'][form])}, clean model "
        f"{drawing.number(entry.values['control'][form]['value'])}"
        for form in labels
    )
    return drawing.Drawing(figure, caption, f"Payload by what stands in the prompt. {fired}.")


def _label(form: str, decoys: list[str]) -> str:
    if form == _TRIGGER:
        return "the trigger"
    return f"{_words(form)}<br>(trained silent)" if form in decoys else _words(form)


def _words(form: str) -> str:
    return form.replace("-", " ")


SHOWS: drawing.Shows = {"near-misses": {"fired": fired}}
