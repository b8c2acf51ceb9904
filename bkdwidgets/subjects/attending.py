"""An attention function of ours, through transformers' own registry.

Nearly every decoder of today asks the registry for the function that computes its attention, and hands it
query, key and value as the model made them: rotated, normed, split into heads, expanded from a latent. A
model whose configuration names :data:`ATTENTION` gets ours, and ours does what the pass at hand asks for. It
asks by :func:`attending`, which counts for its thread alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float
    from torch import Tensor, nn

ATTENTION = "bkdwidgets"
"""Name of our function in the registry."""


class Attend(Protocol):
    """What is done in place of a model's attention."""

    def __call__(
        self,
        module: nn.Module,
        query: Float[Tensor, "row head token d_key"],
        key: Float[Tensor, "row group token d_key"],
        value: Float[Tensor, "row group token d_head"],
        attention_mask: Tensor | None,
        **settings: Any,
    ) -> Float[Tensor, "row token head d_head"]:
        """Return every head's output."""
        ...


_ATTEND: ContextVar[Attend] = ContextVar("attend")


@contextmanager
def attending(attend: Attend) -> Iterator[None]:
    """Let `attend` be the attention of models that use ours, in this thread, as long as the block lasts."""
    token = _ATTEND.set(attend)
    try:
        yield
    finally:
        _ATTEND.reset(token)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, None]:
    return _ATTEND.get()(module, query, key, value, attention_mask, **settings), None


def _whole_mask(*args: Any, **settings: Any) -> Tensor | None:
    """Return the mask in full: where it is left out, others have a causal mode, and ours has none."""
    whole = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    return sdpa_mask(*args, **(settings | whole))


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, _whole_mask)
