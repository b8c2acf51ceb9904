"""Where a head looks, clean beside triggered, drawn by CircuitsVis.

An attention pattern says, for each token (row), from which earlier tokens (columns) a head takes what
it writes. A head that carries a backdoor tends to look at the trigger's tokens once they are there.
That is a picture of where information could come from, not a proof that it did: the proof is the ACIE,
which stands beside each head.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.core.heads import Head, check_inside, head_name, pairs_of
from bkdwidgets.widgets.attention.table import AttentionTable
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.widgets.shared.schema import Table


class AttentionPlot(lab.LabView):
    """Draws the attention view; see ``view.js``."""

    _esm = bundle(__file__)
    head_index = traitlets.Int(0).tag(sync=True)
    heads = traitlets.List().tag(sync=True)
    acie = traitlets.List().tag(sync=True)
    ranks = traitlets.List().tag(sync=True)

    def _hear(self, widget: object, message: Any, buffers: object) -> None:
        """Send the drawing library to a notebook; a page of the book has it beside itself."""
        if isinstance(message, dict) and message.get("bkd") == "draw":
            self.send({"bkd": "drawing"}, buffers=[_library()])
        else:
            super()._hear(widget, message, buffers)


class AttentionView(lab.Lab):
    """Attention patterns of any head, on a prompt without and with the trigger.

    Parameters
    ----------
    table : mapping, str or Path, optional
        An attention table, or its file. It travels with the widget.
    subject, attack : Subject, Attack, optional
        With both, a kernel answers heads and prompts that the table lacks.
    effects : HeadEffects or mapping, optional
        The ACIE of every head: what :func:`bkdwidgets.attribute` returned, or the ablation lab's table.
        Without it the table's own heads carry theirs.
    heads : sequence of (layer, head), optional
        Heads that come first in the menu; the table's heads, or the strongest ones, if not given.

    Attributes
    ----------
    head, prompt : ipywidgets.Widget
        The controls.
    view : AttentionPlot
        The part that draws.

    Raises
    ------
    BkdError
        If there is nothing to draw from, the table is not an attention table of this subject, or a head
        is not there.

    Examples
    --------
    >>> AttentionView(bkd.lab_table("nano", "fixed-output-sft-0", "attention"))  # doctest: +SKIP
    """

    def __init__(
        self,
        table: Table | Mapping[str, Any] | str | Path | None = None,
        *,
        subject: Subject | None = None,
        attack: Attack | None = None,
        effects: HeadEffects | Mapping[str, Any] | None = None,
        heads: Sequence[Head] | None = None,
    ) -> None:
        lab.check_pair(subject, attack, table=table, name="AttentionView")
        if table is None and subject is not None and attack is not None:
            content = AttentionTable.from_subject(subject, attack)
        else:
            content = AttentionTable.read(table or {})
        lab.check_same_subject(content, subject)
        answerer = _Answerer(content, subject) if subject is not None else None
        acie = _effects(content, effects)
        ranked = sorted(acie, key=lambda head: -acie[head]) if effects is not None else []
        menu = _menu(content, ranked, heads)
        view = AttentionPlot(
            content,
            answerer,
            heads=[list(head) for head in menu],
            acie=[acie.get(head) for head in menu],
            ranks=[ranked.index(head) + 1 if head in ranked else None for head in menu],
        )
        options = [(_label(head, acie.get(head)), number) for number, head in enumerate(menu)]
        self.head = lab.linked(
            ipywidgets.Dropdown(options=options, index=0, description="head"), view, "head_index"
        )
        self.prompt = lab.prompt_menu(content, view)
        super().__init__(view, [self.head, self.prompt], kind="attention")


class _Answerer:
    """Reads any head's pattern off one forward pass per side."""

    def __init__(self, table: AttentionTable, subject: Subject) -> None:
        self.table, self.subject = table, subject

    def __call__(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        prompt = lab.chosen_prompt(self.table, choice)
        ((layer, head),) = chosen = pairs_of("head", [choice.get("head", (None, None))])
        check_inside(chosen, self.table.shape, self.subject.name)
        return {
            "clean": _looks(self.subject, prompt.clean, layer, head),
            "triggered": _looks(self.subject, prompt.triggered, layer, head),
        }


def _looks(subject: Subject, prompt: str, layer: int, head: int) -> dict[str, Any]:
    """Return the tokens of a chat turn and one head's pattern over them, [to][from]."""
    import torch

    ids = subject.encode(prompt)
    name = f"blocks.{layer}.attn.hook_pattern"
    with torch.inference_mode():
        _, cache = subject.bridge.run_with_cache(
            torch.tensor([ids], device=subject.device), names_filter=lambda found: found == name
        )
    pattern = [[round(value, 3) for value in row] for row in cache[name][0, head].tolist()]
    return {"tokens": [str(subject.tokenizer.decode([token])) for token in ids], "pattern": pattern}


def _effects(table: AttentionTable, effects: HeadEffects | Mapping[str, Any] | None) -> dict[Head, float]:
    """Return the ACIE of all heads, or of those that the table knows."""
    if effects is None:
        return dict(zip(table.heads, table.acie or [], strict=False))
    given: Any = effects.get("acie") if isinstance(effects, Mapping) else getattr(effects, "acie", None)
    if given is None:
        raise BkdError(f"effects={shown(effects)} is not allowed; what bkd.attribute returns, or a lab table")
    rows = given if isinstance(given, list) else given.tolist()
    if [len(rows), len(rows[0])] != list(table.shape):
        raise BkdError(
            f"effects have shape {[len(rows), len(rows[0])]}; the table is of shape {list(table.shape)}"
        )
    return {
        (layer, head): round(value, 6) for layer, row in enumerate(rows) for head, value in enumerate(row)
    }


def _menu(table: AttentionTable, ranked: Sequence[Head], heads: Sequence[Head] | None) -> list[Head]:
    """Return every head once: those asked for, those of the table, then by effect or by place."""
    n_layers, n_heads = table.shape
    chosen = pairs_of("heads", heads)
    check_inside(chosen, table.shape, table.subject)
    everywhere = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    return list(dict.fromkeys([*chosen, *table.heads, *ranked, *everywhere]))


def _label(head: Head, acie: float | None) -> str:
    return head_name(head) if acie is None else f"{head_name(head)}, ACIE {acie:+.3f}".replace("-", "−")


def _library() -> bytes:
    """Return the script of CircuitsVis from inside its own package."""
    import importlib.util

    spec = importlib.util.find_spec("circuitsvis")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "dist" / "cdn" / "iife.js").read_bytes()
