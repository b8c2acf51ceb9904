"""The vector lab: the backdoor as one direction, to be turned by hand.

At scale s the vector is added s times to the clean prompt and subtracted s times from the triggered
one. If the direction is the backdoor, the first makes the payload appear without a trigger, and the
second makes it go away with one; a random vector of the same length should do neither.

The sliders hold every layer and a fine scale. Where only a table answers they stop at what the table
has; with a kernel, or the model loaded into the page, they stop anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle
from bkdwidgets.widgets.vector.table import HEADS, VectorTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bkdwidgets.analysis import BackdoorVector, HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.widgets.shared.schema import Letter, Table
    from bkdwidgets.widgets.vector.table import Cell

_FIRED: tuple[Letter, ...] = ("P", "p")
_STEP = 0.25


class VectorView(lab.LabView):
    """Draws the vector lab; see ``view.js``."""

    _esm = bundle(__file__)
    scales = traitlets.List().tag(sync=True)
    layer_index = traitlets.Int(0).tag(sync=True)
    scale_index = traitlets.Int(0).tag(sync=True)
    vector_index = traitlets.Int(0).tag(sync=True)


class VectorLab(lab.Lab):
    """Add the backdoor vector to clean prompts, subtract it from triggered ones.

    Parameters
    ----------
    table : mapping, str or Path, optional
        A vector table, or its file. It travels with the widget.
    subject, attack : Subject, Attack, optional
        With both, a kernel answers layers and scales that the table lacks.
    effects : HeadEffects, optional
        Names the heads the vector is built from; computed (which takes a while) if they are needed
        and not given.
    layer : int, optional
        Where the layer slider starts; if not given, where the vector, added, brings the payload or words like
        it most often.

    Attributes
    ----------
    layer, scale, vector, prompt : ipywidgets.Widget
        The controls.
    view : VectorView
        The part that draws.

    Raises
    ------
    BkdError
        If there is nothing to answer from, or the table is not a vector table of this subject.
    """

    def __init__(
        self,
        table: Table | Mapping[str, Any] | str | Path | None = None,
        *,
        subject: Subject | None = None,
        attack: Attack | None = None,
        effects: HeadEffects | None = None,
        layer: int | None = None,
    ) -> None:
        lab.check_pair(subject, attack, table=table, name="VectorLab")
        lab.check_effects(effects)
        if table is None and subject is not None and attack is not None:
            content = VectorTable.from_subject(subject, attack)
        else:
            content = VectorTable.read(table or {})
        lab.check_same_subject(content, subject)
        answerer = None
        if subject is not None and attack is not None:
            answerer = _Answerer(content, subject, attack, effects)
        layers, scales, vectors = range(content.shape[0]), _scales(content.scales), content.vectors
        allowed = layers if answerer else content.layers
        if layer is not None and layer not in allowed:
            raise unknown("layer", layer, allowed)
        scale = min(content.scales, key=lambda item: abs(item - 1.0))
        start = {
            "layer_index": _telling_layer(content, scale) if layer is None else layer,
            "scale_index": scales.index(scale),
        }
        view = VectorView(content, answerer, scales=scales, **start)
        layer_stops = lab.stops(lab.numbered(layers), index=start["layer_index"], description="layer")
        scale_stops = lab.stops(
            lab.numbered(map(_signed, scales)), index=start["scale_index"], description="scale"
        )
        self.layer = lab.linked(layer_stops, view, "layer_index")
        self.scale = lab.linked(scale_stops, view, "scale_index")
        self.vector = lab.linked(
            ipywidgets.ToggleButtons(options=vectors, index=0, description="vector"), view, "vector_index"
        )
        self.prompt = lab.prompt_menu(content, view)
        super().__init__(view, [self.layer, self.scale, self.vector, self.prompt], kind="vector")


class _Answerer:
    """Steers with any vector at any layer and scale, one prompt at a time."""

    def __init__(
        self, table: VectorTable, subject: Subject, attack: Attack, effects: HeadEffects | None
    ) -> None:
        self.table, self.subject, self.attack, self.effects = table, subject, attack, effects
        self.vectors: dict[str, BackdoorVector] = {}

    def __call__(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        from bkdwidgets.analysis import Steering

        prompt = lab.chosen_prompt(self.table, choice)
        layer, scale = choice.get("layer"), choice.get("scale")
        if not isinstance(layer, int) or not isinstance(scale, int | float):
            raise BkdError(f"layer {layer!r} and scale {scale!r} must be numbers")
        if scale == 0:
            return lab.judged_answers(self.subject, self.attack, prompt, clean=[], triggered=[])
        vector = self._vector(str(choice.get("vector")))
        return lab.judged_answers(
            self.subject, self.attack, prompt,
            clean=[Steering(vector, layer=layer, scale=scale)],
            triggered=[Steering(vector, layer=layer, scale=-scale)],
        )  # fmt: skip

    def _vector(self, kind: str) -> BackdoorVector:
        """Return a vector, built once, from the heads the table names or from the strongest."""
        from bkdwidgets.analysis import attribute, backdoor_vector

        if kind not in self.vectors:
            heads = self.table.heads or []
            if not heads:
                self.effects = self.effects or attribute(self.subject, self.attack, prompts=8)
                n_heads = self.subject.n_layers * self.subject.n_heads
                heads = self.effects.top(min(self.table.k or HEADS, n_heads))
            self.vectors[kind] = backdoor_vector(self.subject, self.attack, heads=heads, kind=kind)
        return self.vectors[kind]


def _scales(tabled: Sequence[float]) -> list[float]:
    """Return the table's scales and all quarters between them, rising."""
    reach = max(map(abs, tabled))
    quarters = [step * _STEP for step in range(-int(reach / _STEP), int(reach / _STEP) + 1)]
    return sorted({*quarters, *map(float, tabled)})


def _signed(scale: float) -> str:
    number = f"{abs(scale):g}"
    return f"+{number}" if scale > 0 else f"−{number}" if scale < 0 else "0"


def _telling_layer(table: VectorTable, scale: float) -> int:
    """Return the layer where adding the first vector brings the payload, or words like it, most often.

    Between layers that do so equally often, the payload's own probability decides. It can not decide alone:
    it is high as well where a model begins the payload's first words and then breaks down.
    """
    layers, vector = table.layers, table.vectors[0]
    cells = {cell.layer: cell for cell in table.cells if (cell.vector, cell.scale) == (vector, scale)}
    grid = (table.probability or {}).get(vector, {}).get("clean", [[]] * len(layers))
    likely = {
        layer: max((value for value in row if value is not None), default=0.0)
        for layer, row in zip(layers, grid, strict=True)
    }
    if not cells and not any(likely.values()):
        return layers[len(layers) // 2]
    return max(layers, key=lambda layer: (_fired(cells.get(layer)), likely[layer]))


def _fired(cell: Cell | None) -> int:
    """Return on how many clean prompts a cell has the payload, or a text like it."""
    if cell is None:
        return 0
    counts = cell.rates.outcomes_clean if cell.rates else None
    letters = [letter for _, letter in cell.clean or []]
    return sum(counts[letter] if counts else letters.count(letter) for letter in _FIRED)
