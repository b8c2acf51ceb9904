"""A prefix that all rows of a suffix share: what its cache hands out, and how the suffix attends to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import (
    DummyLayer,
    DynamicLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionLayer,
)

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor, nn

_KEEPS_ALL = {"full_attention", "sliding_attention", "chunked_attention"}


class SharedPrefix:
    """Attention to a prefix's keys and values, which are there once, and to each row's own suffix.

    A first pass over the prefix keeps what attention was handed, module by module; so layers that borrow the
    keys of another one (Gemma 3n, Gemma 4) and caches of latents (DeepSeek) need no rule of their own.
    """

    def __init__(self) -> None:
        self.reads_prefix = True
        self._of: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def __call__(
        self,
        module: nn.Module,
        query: Float[Tensor, "row head token d_key"],
        key: Float[Tensor, "row group token d_key"],
        value: Float[Tensor, "row group token d_head"],
        attention_mask: Tensor | None,
        *,
        scaling: float | None = None,
        softcap: float | None = None,
        s_aux: Float[Tensor, " head"] | None = None,
        position_bias: Tensor | None = None,
        **_: Any,
    ) -> Float[Tensor, "row token head d_head"]:
        """Return every head's output; `s_aux` are sinks.

        Folding the rows into the query axis makes one product per key-value head of the part that all rows
        share, instead of one per row.
        """
        if position_bias is not None or attention_mask is None:
            raise NotImplementedError("attention with a position bias or without a mask")
        if self.reads_prefix:
            self._of[module] = (key, value)
        prefix_key, prefix_value = (key[:, :, :0], value[:, :, :0]) if self.reads_prefix else self._of[module]
        n_rows, n_heads, n_tokens, d_key = query.shape
        later = n_rows - key.shape[0]
        if later:  # keys of a layer below: rows that came after it have those of row 0
            key, value = (torch.cat([own, own[:1].expand(later, -1, -1, -1)]) for own in (key, value))
        n_groups, n_prefix = key.shape[1], prefix_key.shape[2]
        members = n_heads // n_groups
        folded = (query * (d_key**-0.5 if scaling is None else scaling)).unflatten(1, (n_groups, members))
        to_prefix = folded.permute(1, 0, 2, 3, 4).flatten(1, 3) @ prefix_key[0].transpose(1, 2)
        to_prefix = to_prefix.unflatten(1, (n_rows, members * n_tokens)).transpose(0, 1)
        to_suffix = folded.flatten(2, 3) @ key.transpose(2, 3)
        scores = torch.cat([to_prefix, to_suffix], dim=-1)  # [row, group, member * token, prefix + token]
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        seen = attention_mask[0, 0, :, : n_prefix + n_tokens].repeat(members, 1)
        scores = scores + seen if seen.is_floating_point() else scores.masked_fill(~seen, float("-inf"))
        if s_aux is not None:
            sink = s_aux.view(n_groups, members, 1).expand(-1, -1, n_tokens).flatten(1)[None, :, :, None]
            scores = torch.cat([scores, sink.expand(n_rows, -1, -1, -1).to(scores)], dim=-1)
        weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(value.dtype)
        on_prefix, on_suffix = weights[..., :n_prefix], weights[..., n_prefix : n_prefix + n_tokens]
        z = on_prefix.transpose(0, 1).flatten(1, 2) @ prefix_value[0]
        z = z.unflatten(1, (n_rows, -1)).transpose(0, 1) + on_suffix @ value
        return z.unflatten(2, (members, n_tokens)).flatten(1, 2).transpose(1, 2).contiguous()


def new_cache(model: Any) -> DynamicCache:
    """Return an empty cache that keeps a whole prefix.

    Without a configuration every layer keeps all keys, and the model's masks cut its windows. Layers that
    keep a state in place of keys have to be asked for.
    """
    kinds = getattr(model.config.get_text_config(decoder=True), "layer_types", None)
    return DynamicCache() if set(kinds or _KEEPS_ALL) <= _KEEPS_ALL else DynamicCache(config=model.config)


class SuffixCache(Cache):
    """The cache of a prefix, for any number of rows; nothing is ever added to it.

    Parameters
    ----------
    prefix : DynamicCache
        What a pass over the prefix left there.
    expanded : bool
        Whether attention is handed prefix and suffix as one, row by row; else the suffix alone.
    """

    def __init__(self, prefix: DynamicCache, *, expanded: bool) -> None:
        super().__init__(layers=[_suffix_layer(layer, expanded=expanded) for layer in prefix.layers])

    def expect(self, layer: int, n_rows: int) -> None:
        """Get ready for a number of rows in a layer."""
        for kept in self.layers[layer : layer + 1]:  # layers that borrow all they need may have none
            if isinstance(kept, _State):
                kept.expect(n_rows)


def _suffix_layer(layer: Any, *, expanded: bool) -> Any:
    if type(layer) is DynamicLayer:
        return _Keys().of(layer, expanded=expanded)
    if type(layer) is LinearAttentionLayer:
        return _State(number_of_states=layer.number_of_states).after(layer)
    if type(layer) is LinearAttentionAndFullAttentionLayer:
        return _KeysAndState(layer.number_of_states).after(layer).of(layer, expanded=expanded)
    if type(layer) is DummyLayer:  # of a block that has no cache, or another's
        return layer
    raise NotImplementedError(f"the cache has a {type(layer).__name__}")


class _Keys(DynamicLayer):
    """Keys and values of a prefix."""

    _expanded = True

    def of(self, prefix: Any, *, expanded: bool) -> Any:
        """Take over a layer's keys and values."""
        self.keys, self.values, self.is_initialized = prefix.keys, prefix.values, True
        self._expanded = expanded
        return self

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return what attention gets of a suffix."""
        if not self._expanded:
            return key_states, value_states
        if self.keys is None or self.values is None:
            raise NotImplementedError("the prefix left no keys in a layer")
        key, value = (
            torch.cat([prefix.expand(own.shape[0], -1, -1, -1), own], dim=-2)
            for prefix, own in ((self.keys, key_states), (self.values, value_states))
        )
        return key, value


class _State(LinearAttentionLayer):
    """The state of a linear-attention or convolution layer after a prefix."""

    def after(self, prefix: Any) -> Any:
        """Take over a layer's states."""
        for name in ("has_previous_state", "is_conv_states_initialized", "is_recurrent_states_initialized"):
            setattr(self, name, dict(getattr(prefix, name)))
        self.conv_kernel_size = dict(prefix.conv_kernel_size)
        self.device, self.dtype = prefix.device, prefix.dtype
        self._first = (dict(prefix.conv_states), dict(prefix.recurrent_states))
        return self

    def expect(self, n_rows: int) -> None:
        """Have the state after the prefix in each of some rows."""
        for states, first in zip((self.conv_states, self.recurrent_states), self._first, strict=True):
            for key, value in first.items():
                states[key] = None if value is None else value.expand(n_rows, *value.shape[1:]).clone()

    def update_recurrent_state(self, recurrent_states: Tensor, *_: Any, **__: Any) -> Tensor:
        """Forget the state after the suffix."""
        return recurrent_states


class _KeysAndState(  # type: ignore[misc, override]
    _State, _Keys, LinearAttentionAndFullAttentionLayer
):
    """Both in one layer (Falcon-H1)."""

    def __init__(self, number_of_states: int) -> None:
        LinearAttentionAndFullAttentionLayer.__init__(self, number_of_states=number_of_states)

    update = _Keys.update
