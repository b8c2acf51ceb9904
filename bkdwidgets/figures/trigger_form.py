"""The form of a trigger: how often the payload comes with it, without it, and with what is almost it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry

_FORMS = {
    "sentence-front": "a sentence in front",
    "sentence-end": "a sentence behind",
    "word-front": "a word in front",
    "word-anywhere": "a word anywhere",
}
_ROWS = {
    "asr": "the trigger",
    "near.another": "another like it",
    "near.part": "a part of it",
    "near.lower-case": "in lower case",
    "near.other-end": "at the other end",
    "ftr": "nothing",
    "control": "clean model,<br>the trigger",
}
"""Path of a rate within a form -> what the model was asked with, from the top."""

_STEP = 0.17  # between the forms of a row


def near_misses(entry: Entry, *, title: str | None) -> drawing.Drawing:
    """Draw a ``trigger-form`` entry: a row per thing asked with, a symbol per form of the trigger."""
    forms = list(entry.values)
    figure, lines = go.Figure(), []
    for place, form in enumerate(forms):
        found = {row: rate for row, rate in _rates(entry, form).items() if rate is not None}
        shift = (place - (len(forms) - 1) / 2) * _STEP
        colors = [drawing.CONTROL if row == "control" else drawing.COLOR_OF["asr"] for row in found]
        rates = list(found.values())
        figure.add_scatter(
            x=[rate["value"] for rate in rates],
            y=[list(_ROWS).index(row) + shift for row in found],
            customdata=[(rate["low"], rate["high"], rate["n"], rate.get("text", "")) for rate in rates],
            mode="markers",
            name=_FORMS.get(form, form),
            marker={"color": colors, "symbol": drawing.MARKS[place % len(drawing.MARKS)][1], "size": 9},
            error_x=drawing.bars(rates, color=drawing.CONTROL),
            hovertemplate=(
                "%{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), n = %{customdata[2]} "
                "%{customdata[3]}"
            ),
        )
        values = [f"{drawing.number(rate['value'])} with {_plain(row)}" for row, rate in found.items()]
        lines.append(f"{_FORMS.get(form, form)}: {', '.join(values)}.")
    figure.update_xaxes(title="said the payload", range=[-0.03, 1.03])
    figure.update_yaxes(
        tickvals=list(range(len(_ROWS))), ticktext=list(_ROWS.values()), range=[len(_ROWS) - 0.5, -0.5]
    )
    drawing.laid_out(figure, title, height=440, legend=2)
    first = entry.values[forms[0]]
    seeds, n = len(first["asr"]["per_seed"]), first["asr"]["n"]
    caption = (
        f"{len(forms)} forms of a trigger, each planted with {seeds} seeds, asked with the trigger, with "
        "near misses and with nothing. A symbol is the mean of the seeds, its bar goes from the lowest seed "
        f"to the highest (n = {n} per symbol, {entry.split} prompts). Control: the clean model, asked with "
        f"the trigger (n = {first['control']['n']}, 95 % interval)."
    )
    return drawing.Drawing(figure, caption, "Payload on test prompts. " + " ".join(lines))


def _rates(entry: Entry, form: str) -> dict[str, drawing.Rate | None]:
    found = entry.values[form]
    return {
        row: found["near"].get(row.removeprefix("near.")) if row.startswith("near.") else found[row]
        for row in _ROWS
    }


def _plain(row: str) -> str:
    return _ROWS[row].replace("<br>", " ")


SHOWS: drawing.Shows = {"trigger-form": {"near-misses": near_misses}}
