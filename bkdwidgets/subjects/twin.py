"""A second module tree on the same tensors.

A pass can be changed by hooks, which act for one thread. What cannot be changed so - which attention function
a configuration names, what a part of the tree is - is changed in a twin, so that nobody who uses the model
meanwhile sees anything of it.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from bkdwidgets.subjects.threads import OwnHook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

Module = TypeVar("Module", bound="nn.Module")


def twin(
    model: Module,
    *,
    tensors: Mapping[Tensor, Tensor] | None = None,
    modules: Mapping[nn.Module, nn.Module] | None = None,
) -> Module:
    """Return a copy of a module tree that holds the same tensors.

    Whatever is tied stays tied, and a tensor that is changed in place is changed in both.

    Parameters
    ----------
    model : nn.Module
        The original; its hooks act in the twin as well, as far as they act in this thread.
    tensors : mapping, optional
        Tensors that the twin has others for.
    modules : mapping, optional
        Modules that the twin has others for.
    """
    memo: dict[int, Any] = {}
    for part in model.modules():
        memo.update({id(tensor): tensor for tensor in (*part.parameters(False), *part.buffers(False))})
        memo.update({id(hooks): kept for hooks, kept in _hooks(part)})
    for instead in (tensors or {}, modules or {}):
        memo.update({id(before): after for before, after in instead.items()})
    return copy.deepcopy(model, memo)


def _hooks(part: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Give each table of hooks and its copy; another thread may add to a table while it is copied."""
    tables: tuple[Any, ...] = (
        part._forward_pre_hooks,  # noqa: SLF001 - no public list
        part._forward_hooks,  # noqa: SLF001
    )
    for table in tables:
        own = [pair for pair in tuple(table.items()) if not isinstance(pair[1], OwnHook) or pair[1].acts_here]
        yield table, OrderedDict(own)
    flags: tuple[Any, ...] = (
        part._forward_pre_hooks_with_kwargs,  # noqa: SLF001
        part._forward_hooks_with_kwargs,  # noqa: SLF001
        part._forward_hooks_always_called,  # noqa: SLF001
    )
    for table in flags:
        yield table, OrderedDict(tuple(table.items()))
