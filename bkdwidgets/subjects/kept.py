"""Results that are kept with a subject for as long as its weights are what they were computed from.

Means over a hundred prompts are asked for again and again, and weights are changed by hand in the middle of a
notebook. PyTorch counts the changes of a tensor, but not those made through ``.data``, in inference mode or
in NumPy. So the weights themselves are looked at: every matrix times one fixed random vector, which is one
pass over memory (a tenth of a second for 135 million weights). Only a change too small to show in a row's
product, in float32, goes unseen.
"""

from __future__ import annotations

import zlib
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import torch

from bkdwidgets.subjects.threads import foreign_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from torch import Tensor, nn

Value = TypeVar("Value")


class Kept:
    """Values by what they were computed from, all of them from one state of a model."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._values: dict[Hashable, object] = {}

    def get(self, model: nn.Module, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return what `make` returned for this key and this state of the model, or let it make that now.

        Parameters
        ----------
        model : nn.Module
            What `make` computes with.
        key : hashable
            Everything else that goes in.
        make : callable
            Computes the value.
        """
        state = state_of(model)
        if state != self._state:
            self._state, self._values = state, {}
        values = self._values
        if key not in values:
            made = make()
            if state_of(model) != state:  # changed meanwhile, by another thread: it belongs to neither state
                return made
            values[key] = made
        return values[key]  # type: ignore[return-value]


def state_of(model: nn.Module) -> Hashable:
    """Return what tells two states of a model apart: its tensors, where they lie, and the hooks on it."""
    tensors = list(chain(model.parameters(), model.buffers()))
    places = tuple(
        (tensor.data_ptr(), tensor.dtype, -1 if tensor.is_inference() else tensor._version)  # noqa: SLF001
        for tensor in tensors
    )
    return places, _products(tensors), foreign_hooks(model)


@torch.inference_mode()
def _products(tensors: list[Tensor]) -> int:
    chance = torch.Generator().manual_seed(0)
    widths = sorted({tensor.shape[-1] for tensor in tensors if tensor.dim()})
    vectors = {width: torch.randn(width, generator=chance) for width in widths}
    products = [
        tensor.float().reshape(-1, tensor.shape[-1]) @ vectors[tensor.shape[-1]].to(tensor.device)
        for tensor in tensors
        if tensor.numel() and tensor.dim()
    ]
    return zlib.crc32(torch.cat([product.cpu() for product in products]).numpy().tobytes())
