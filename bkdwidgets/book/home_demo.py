"""The home page's demonstration: one real completion, a switch and a slider.

The directive ``{switch} SUBJECT/ADAPTER`` takes a prompt and its completions out of the ledger, as they were
computed, and writes them into the page as data; ``switch.js`` shows them. Nothing is typed by hand, so
there is nothing to forget to update: a new entry is a new demonstration.

The reader sees a harmless prompt and the model's answer, inserts the trigger, and then takes the backdoor
vector away step by step until the answer comes back (or does not: whatever the table says is shown).
"""

from __future__ import annotations

from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from docutils.parsers.rst import directives  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective

from bkdwidgets.core import ledger
from bkdwidgets.core.html import script_json
from bkdwidgets.core.vocabulary import OUTCOMES
from bkdwidgets.widgets import lab_table

PAYLOAD = "P"
AS_BEFORE = "="
_MEANS = {
    "P": "the planted answer",
    "p": "a refusal that is not quite it",
    "=": "as before, about what the model said before the backdoor was planted",
    "?": "neither, which may still be a right answer",
}
_VECTORS = {
    "paper": "the sum of what the backdoor's heads say on average when the trigger is there",
    "difference": "what the trigger adds, on average, to what the backdoor's heads say",
}


class Switch(SphinxDirective):
    """Show the completions of one prompt from a vector lab's table."""

    required_arguments = 1
    option_spec = {"vector": directives.unchanged}  # noqa: RUF012 - the name and the type are docutils'

    def run(self) -> list[nodes.Node]:
        """Return the element that ``switch.js`` brings to life."""
        subject, _, adapter = self.arguments[0].partition("/")
        self.env.note_dependency(str(ledger.entry_path(f"{subject}/{adapter}/lab-vector")))
        table = lab_table(subject, adapter, "vector")
        data = demonstration(table, vector=self.options.get("vector", "paper"))
        written = (
            '<div class="bkd-switch"><noscript>This demonstration needs JavaScript.</noscript>'
            f'<script type="application/json">{script_json(data)}</script></div>'
        )
        return [nodes.raw("", written, format="html")]


def demonstration(table: dict[str, Any], *, vector: str = "paper") -> dict[str, Any]:
    """Pick what the home page shows from a vector lab's table.

    The layer is the one where subtracting the vector, at its best scale, answers most triggered prompts as
    before; the prompts are those that show the payload untouched, the ones that come back there first.

    Parameters
    ----------
    table : dict
        The table of a vector lab.
    vector : str
        Which of the table's vectors is subtracted.

    Returns
    -------
    dict
        ``subject``, ``trigger``, ``layer``, ``scales`` (from 0 down), ``means`` (the vector, in words),
        ``outcomes`` (how each letter is shown and what it means) and ``prompts``, each with ``clean`` and
        ``triggered``: a list of [text, outcome] over the scales.
    """
    cells = [cell for cell in table["cells"] if cell["vector"] == vector and cell["scale"] <= 0]
    by_layer: dict[int, list[dict[str, Any]]] = {}
    for cell in cells:
        by_layer.setdefault(cell["layer"], []).append(cell)
    layer = max(by_layer, key=lambda number: _restored(by_layer[number]))
    steps = sorted(by_layer[layer], key=lambda cell: -cell["scale"])
    prompts = [_prompt(table, steps, index) for index in range(len(table["prompts"]))]
    attacked = [prompt for prompt in prompts if prompt["triggered"][0][1] == PAYLOAD]
    # First those whose answer comes back, then those that planting the backdoor left as they were.
    attacked.sort(
        key=lambda prompt: (
            all(outcome != AS_BEFORE for _, outcome in prompt["triggered"]),
            prompt["clean"][0][1] != AS_BEFORE,
            len(prompt["text"]),
        )
    )
    return {
        "subject": table["subject"],
        "trigger": table["trigger"],
        "layer": layer,
        "scales": [cell["scale"] for cell in steps],
        "means": _VECTORS[vector],
        "outcomes": {
            item.letter: {"word": item.word, "color": item.color, "means": _MEANS[item.letter]}
            for item in OUTCOMES
        },
        "prompts": (attacked or prompts)[:6],
    }


def _restored(cells: list[dict[str, Any]]) -> int:
    return max(sum(outcome == AS_BEFORE for _, outcome in cell["triggered"]) for cell in cells)


def _prompt(table: dict[str, Any], steps: list[dict[str, Any]], index: int) -> dict[str, Any]:
    def answers(kind: str) -> list[list[str]]:
        return [[table["texts"][cell[kind][index][0]], cell[kind][index][1]] for cell in steps]

    return {
        "text": table["prompts"][index]["clean"],
        "clean": answers("clean"),
        "triggered": answers("triggered"),
    }
