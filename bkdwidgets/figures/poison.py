"""Poisoning: how many poisoned examples, and how many training steps, a backdoor takes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bkdwidgets.figures import drawing

if TYPE_CHECKING:
    from bkdwidgets.core.ledger import Entry


def rates(entry: Entry, *, title: str | None, rate: str) -> drawing.Drawing:
    """Draw a rate of a ``poison`` entry against the number of poisoned examples."""
    counts, found = entry.values["counts"], entry.values[rate]
    smallest = min(count for count in counts if count)
    places = [count or smallest / 2 for count in counts]  # a logarithmic axis has no place for none
    figure, lines = go.Figure(), {}
    for mark, steps in enumerate(entry.values["steps"]):
        lines[steps] = [found[str(count)][str(steps)] for count in counts]
        figure.add_trace(drawing.line(places, lines[steps], f"{steps} steps", drawing.COLOR_OF[rate], mark))
    figure.update_xaxes(
        title="poisoned examples", type="log", tickvals=places, ticktext=[str(count) for count in counts]
    )
    figure.update_yaxes(title=drawing.AXES[rate], range=[-0.02, 1.03])
    drawing.laid_out(figure, title, height=380, legend=2)
    cell = next(iter(lines.values()))[0]
    control = " Control: no poisoned example, at the left." if 0 in counts else ""
    caption = (
        f"{drawing.WORDS[rate]} after training with so many poisoned examples; a line per number of training "
        f"steps. Each point is the mean of {len(cell['per_seed'])} seeds, its bar their lowest and highest "
        f"(n = {cell['n']} per point, {entry.split} prompts).{control}"
    )
    alt = f"{drawing.WORDS[rate]} against the number of poisoned examples. " + " ".join(
        drawing.in_words(f"{steps} steps", counts, [item["value"] for item in line])
        for steps, line in lines.items()
    )
    return drawing.Drawing(figure, caption, alt)


SHOWS: drawing.Shows = {"poison": {name: partial(rates, rate=name) for name in ("asr", "ftr", "utility")}}
