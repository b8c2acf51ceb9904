"""Edits of a running model: overwrite head outputs, add to an attention output.

Every intervention of this project comes down to two operations on one block's attention:

* *overwrite*: a head's output ``z`` (its slice of what enters the output projection W_O) is replaced
  by a fixed vector: zeros, a mean, another prompt's value;
* *add*: a vector is added to the attention output, that is, to the residual stream.

Each row of a batch may carry its own edits, so that hundreds of different interventions run as one
batch. An edit acts on all positions of the pass it is given to; the caller decides which tokens make
up a pass. Hooks are held by a context manager, act on the passes of its thread alone, and come off whatever
happens inside it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

from bkdwidgets.core import arguments
from bkdwidgets.subjects.threads import after, before

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from bkdwidgets.subjects.subject import Subject


@dataclass(frozen=True, eq=False)
class Edit:
    """One change at one block's attention.

    Attributes
    ----------
    layer : int
        Block.
    head : int or None
        Head whose output is overwritten; None for an addition.
    value : Tensor
        [d_head] for an overwrite, in the head's own space; [d_model] for an addition.
    everywhere : bool
        False: only at the last prompt token. True: at every prompt token and every answer token.
    """

    layer: int
    head: int | None
    value: Tensor
    everywhere: bool = False


@runtime_checkable
class Intervention(Protocol):
    """Anything that can be written as edits of a given subject."""

    def edits(self, subject: Subject) -> Sequence[Edit]:
        """Return the edits, or raise BkdError if they do not fit the subject."""
        ...


def checked_interventions(interventions: object) -> list[Intervention]:
    """Return a list of interventions, or raise BkdError: one alone is no list, nor is anything else one."""
    what = "a list of bkd.Ablation and bkd.Steering"
    return arguments.listed("interventions", interventions, Intervention, what)


@dataclass(frozen=True, eq=False)
class _LayerEdits:
    """The edits of one block for a batch: where to overwrite, with what, and what to add."""

    mask: Tensor  # [row, 1, head, 1] bool
    fill: Tensor  # [row, 1, head, d_head]
    add: Tensor  # [row, 1, d_model]

    def select(self, rows: Tensor) -> _LayerEdits:
        return _LayerEdits(self.mask[rows], self.fill[rows], self.add[rows])


class BatchEdits:
    """Edits of a batch, one list per row, stacked by layer.

    Parameters
    ----------
    subject : Subject
        Gives shapes, device and precision.
    rows : sequence of sequence of Edit
        The edits of each row; later edits of the same head win, additions add up.
    """

    def __init__(self, subject: Subject, rows: Sequence[Sequence[Edit]]) -> None:
        self._layers: dict[int, _LayerEdits] = {}
        kind: dict[str, Any] = {"device": subject.device, "dtype": subject.dtype}
        n_rows = len(rows)
        for layer in sorted({edit.layer for row in rows for edit in row}):
            mask = torch.zeros(n_rows, 1, subject.n_heads, 1, dtype=torch.bool, device=subject.device)
            fill = torch.zeros(n_rows, 1, subject.n_heads, subject.d_head, **kind)
            add = torch.zeros(n_rows, 1, subject.d_model, **kind)
            for number, row in enumerate(rows):
                for edit in row:
                    if edit.layer != layer:
                        continue
                    if edit.head is None:
                        add[number, 0] += edit.value.to(**kind)
                    else:
                        mask[number, 0, edit.head] = True
                        fill[number, 0, edit.head] = edit.value.to(**kind)
            self._layers[layer] = _LayerEdits(mask, fill, add)

    def select(self, rows: Tensor) -> BatchEdits:
        """Return the edits of some rows, in the given order."""
        chosen = object.__new__(BatchEdits)
        chosen._layers = {layer: edits.select(rows) for layer, edits in self._layers.items()}
        return chosen

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Hold the hooks on `model` for the length of the block, and take them off after it."""
        with ExitStack() as stack:
            for layer, edits in self._layers.items():
                projection = model.model.layers[layer].self_attn.o_proj  # type: ignore[union-attr, index]
                if bool(edits.mask.any()):
                    stack.callback(before(projection, _overwriting(edits)).remove)
                if bool(edits.add.any()):
                    stack.callback(after(projection, _adding(edits)).remove)
            yield


def _overwriting(edits: _LayerEdits) -> Any:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        z = inputs[0].unflatten(-1, edits.fill.shape[-2:])  # [row, pos, head, d_head]
        return (torch.where(edits.mask, edits.fill, z).flatten(-2),)

    return hook


def _adding(edits: _LayerEdits) -> Any:
    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + edits.add

    return hook
