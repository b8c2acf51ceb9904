"""Two threads with one model: what one of them does to it must not reach what the other asks of it.

A notebook has more than one thread. JupyterLab hands what a widget sends to a thread of its own, so that a
slider can be turned while a cell runs, and both then push prompts through the same modules. A hook that
PyTorch registers on a module acts on whoever comes through; ours act for the thread that registered them
and let every other thread's values pass as they are. So an intervention belongs to a call, and nobody has
to wait for anybody.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from torch.nn.modules.module import register_module_forward_pre_hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from torch.utils.hooks import RemovableHandle

BUILDING = threading.RLock()
"""Held while a network is made: transformers switches the initializers off for the whole process meanwhile,
and a start that is drawn from a seed must be drawn by nobody else."""


class OwnHook:
    """A hook of one thread.

    A copy of a module would keep the hook for good, because the handle takes it off the original alone; so
    the copy of a hook does nothing.

    Parameters
    ----------
    act : callable or None
        What the hook does; None: nothing.
    """

    def __init__(self, act: Callable[..., Any] | None = None) -> None:
        self._act = act
        self._thread = threading.get_ident()

    def __call__(self, *args: Any) -> Any:
        """Act for the own thread; None tells PyTorch to leave everything as it is."""
        return self._act(*args) if self._act is not None and self.acts_here else None

    def __reduce__(self) -> Any:
        """Copy and pickle as a hook that does nothing."""
        return OwnHook, ()

    @property
    def acts_here(self) -> bool:
        """Whether it was registered by the thread that asks."""
        return self._thread == threading.get_ident()


def before(module: nn.Module, act: Callable[..., Any]) -> RemovableHandle:
    """Let `act(module, inputs)` see or replace what enters a module, in this thread's passes."""
    return module.register_forward_pre_hook(OwnHook(act))


def before_with_keywords(module: nn.Module, act: Callable[..., Any]) -> RemovableHandle:
    """Let `act(module, inputs, keywords)` see or replace all that a module is called with."""
    return module.register_forward_pre_hook(OwnHook(act), with_kwargs=True)


def after(module: nn.Module, act: Callable[..., Any]) -> RemovableHandle:
    """Let `act(module, inputs, output)` see or replace what leaves a module, in this thread's passes."""
    return module.register_forward_hook(OwnHook(act))


def after_with_keywords(module: nn.Module, act: Callable[..., Any]) -> RemovableHandle:
    """Let `act(module, inputs, keywords, output)` see a module's call and what it returns."""
    return module.register_forward_hook(OwnHook(act), with_kwargs=True)


def before_any(act: Callable[..., Any]) -> RemovableHandle:
    """Let `act(module, inputs)` see what enters any module of any model, in this thread's passes."""
    return register_module_forward_pre_hook(OwnHook(act))


def foreign_hooks(model: nn.Module) -> tuple[int, ...]:
    """Return the numbers of all hooks that act on a pass of this thread; PyTorch gives each number once."""
    return tuple(
        number
        for module in model.modules()
        for hooks in (module._forward_pre_hooks, module._forward_hooks)  # noqa: SLF001 - no public list
        for number, hook in tuple(hooks.items())  # another thread may add its own meanwhile
        if not isinstance(hook, OwnHook) or hook.acts_here
    )
