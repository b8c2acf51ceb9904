"""Activation patching with key-value cache reuse: all single patches at the last prompt token, in one pass.

The prompt without its last token is run once; the rest, the suffix, is replayed with a batch that grows from
layer to layer ("suffix replay").

A patch overwrites one head's output, or one MLP layer's output. Either way the block hands on another
residual at the last prompt token, and nothing else has changed yet.

Shapes: R rows (row 0 is unpatched), S suffix tokens (last prompt token, then the payload without its
last token), T prefix tokens (the prompt without its last token). Written for Llama-style blocks:
pre-norm, rotary attention with grouped keys, gated MLP. Prompts are taken one at a time: the heads of
one prompt already fill the matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import linear
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from bkdwidgets.analysis.activations import output_weights
from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Int
    from torch import Tensor

    from bkdwidgets.subjects import Subject

# Logits are made in pieces that stay in a processor's cache (1,024 x 2,048 in float32 are 8 MB) and are
# summed up at once: whole rows of a large vocabulary would go through main memory several times.
_LOGIT_ROWS = 1024
_LOGIT_WORDS = 2048


@dataclass(frozen=True)
class Replay:
    """Probabilities of the target, patched part by part.

    Attributes
    ----------
    base : Float[Tensor, ""]
        Length-normalized P(target | prompt), float64.
    patched : Float[Tensor, "layer part"]
        The same with one part overwritten, float64; a part is a head, or the layer's one MLP.
    n_forward_tokens : int
        Tokens pushed through a block.
    """

    base: Tensor
    patched: Float[Tensor, "layer part"]
    n_forward_tokens: int


def replay_heads(
    subject: Subject, prompt: list[int], target: list[int], values: Float[Tensor, "layer head d_head"]
) -> Replay:
    """Overwrite each head in turn by its value at the last prompt token; return P(target) each time.

    Parameters
    ----------
    subject : Subject
        A Llama-style decoder.
    prompt, target : list of int
        Token ids of the chat turn and of the answer whose probability is asked for.
    values : Tensor
        What each head is overwritten with, shape [layer, head, d_head].

    Raises
    ------
    BkdError
        If `values` has another shape or holds values that are not finite numbers.
    """
    fill = _checked(subject, values, (subject.n_layers, subject.n_heads, subject.d_head))

    def overwritten(layer: int, block: Any, z: Tensor, middle: Tensor) -> Tensor:
        change = (fill[layer] - z.unflatten(-1, (subject.n_heads, subject.d_head)))[:, None]
        patched = middle + (change @ output_weights(subject, layer))[:, 0]
        return patched + block.mlp(block.post_attention_layernorm(patched))

    return _replayed(subject, prompt, target, overwritten)


def replay_mlps(
    subject: Subject, prompt: list[int], target: list[int], values: Float[Tensor, "layer d_model"]
) -> Replay:
    """Overwrite each MLP layer's output in turn at the last prompt token; return P(target) each time.

    Parameters
    ----------
    subject : Subject
        A Llama-style decoder.
    prompt, target : list of int
        Token ids of the chat turn and of the answer whose probability is asked for.
    values : Tensor
        What each MLP's output is overwritten with, shape [layer, d_model].

    Raises
    ------
    BkdError
        If `values` has another shape or holds values that are not finite numbers.
    """
    fill = _checked(subject, values, (subject.n_layers, subject.d_model))

    def overwritten(layer: int, _block: Any, _z: Tensor, middle: Tensor) -> Tensor:
        return middle + fill[layer, None]

    return _replayed(subject, prompt, target, overwritten)


@torch.inference_mode()
def _replayed(
    subject: Subject,
    prompt: list[int],
    target: list[int],
    overwritten: Callable[[int, Any, Float[Tensor, " d_heads"], Float[Tensor, " d_model"]], Tensor],
) -> Replay:
    """Run the suffix through the layers with a growing batch; each layer adds its patched copies of row 0.

    `overwritten` gets the layer, the block, and the unpatched head outputs and mid-block residual at the
    last prompt token. It returns the patched residuals after the block, shape [part, d_model].
    """
    cache, rotary, rows = _read(subject, prompt, target)
    n_tokens = (len(prompt) - 1) * subject.n_layers
    for layer, block in enumerate(subject.model.model.layers):
        z = _attend(subject, block, rows, cache.layers[layer], rotary)
        middle = rows + block.self_attn.o_proj(z)
        patched = overwritten(layer, block, z[0, 0], middle[0, 0])
        rows = middle + block.mlp(block.post_attention_layernorm(middle))
        n_tokens += rows.shape[0] * rows.shape[1] + len(patched)
        added = rows[0].expand(len(patched), -1, -1).clone()
        added[:, 0] = patched
        rows = torch.cat([rows, added])
    hidden = subject.model.model.norm(rows)
    wanted = torch.tensor(target, device=subject.device).expand(hidden.shape[:2])
    probabilities = target_log_probabilities(subject, hidden, wanted).cpu().double().mean(1).exp()
    return Replay(
        base=probabilities[0],
        patched=probabilities[1:].unflatten(0, (subject.n_layers, -1)),
        n_forward_tokens=n_tokens,
    )


def target_log_probabilities(
    subject: Subject, hidden: Float[Tensor, "row token d_model"], wanted: Int[Tensor, "row token"]
) -> Float[Tensor, "row token"]:
    """Return log p of the wanted token at each place, float32.

    Parameters
    ----------
    subject : Subject
        Its output matrix is used.
    hidden : Tensor
        What the output matrix receives (after the final norm).
    wanted : Tensor
        Token ids.
    """
    rows = zip(hidden.flatten(0, 1).split(_LOGIT_ROWS), wanted.flatten().split(_LOGIT_ROWS), strict=True)
    parts = [_log_probabilities(subject.model.lm_head.weight, *pair) for pair in rows]
    return torch.cat(parts).view(wanted.shape)


def _log_probabilities(
    weight: Float[Tensor, "word d_model"], hidden: Float[Tensor, "row d_model"], wanted: Int[Tensor, " row"]
) -> Float[Tensor, " row"]:
    sums, own = [], []
    for number, piece in enumerate(weight.split(_LOGIT_WORDS)):
        logits = linear(hidden, piece).float()
        place = wanted - number * _LOGIT_WORDS
        elsewhere = (place < 0) | (place >= len(piece))
        found = logits.gather(1, place.clamp(0, len(piece) - 1)[:, None])[:, 0]
        own.append(found.masked_fill(elsewhere, float("-inf")))
        sums.append(logits.logsumexp(-1))
    return torch.stack(own).amax(0) - torch.stack(sums).logsumexp(0)


def _checked(subject: Subject, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(values.shape) != shape:
        raise BkdError(
            f"replacement values have shape {list(values.shape)}; {subject.name} needs {list(shape)}"
        )
    if not bool(torch.isfinite(values).all()):
        raise BkdError("replacement values are not all finite numbers; no patch can be made of them")
    return values.to(device=subject.device, dtype=subject.dtype)


def _read(
    subject: Subject, prompt: list[int], target: list[int]
) -> tuple[Any, tuple[Tensor, Tensor], Float[Tensor, "1 suffix d_model"]]:
    """Run the prefix and return its cache, the suffix's rotary tables and the embedded suffix."""
    from transformers import DynamicCache

    decoder, device = subject.model.model, subject.device
    cache = DynamicCache()
    decoder(input_ids=torch.tensor([prompt[:-1]], device=device), past_key_values=cache, use_cache=True)
    suffix = torch.tensor([[prompt[-1], *target[:-1]]], device=device)
    embedded = decoder.embed_tokens(suffix)
    positions = torch.arange(len(prompt) - 1, len(prompt) - 1 + suffix.shape[1], device=device)[None]
    return cache, decoder.rotary_emb(embedded, positions), embedded


def _attend(
    subject: Subject,
    block: Any,
    rows: Float[Tensor, "row suffix d_model"],
    prefix: Any,
    rotary: tuple[Tensor, Tensor],
) -> Float[Tensor, "row suffix d_heads"]:
    """Return the head outputs of every row, before the output projection.

    All rows share the prefix's keys and values. Folding the rows into the query axis turns that part
    into one matrix product per key-value head, instead of one per row.
    """
    attention = block.self_attn
    n_rows, n_suffix, _ = rows.shape
    normed = block.input_layernorm(rows)
    split = (n_rows, n_suffix, -1, subject.d_head)
    query, key, value = (
        projection(normed).view(split).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    query, key = apply_rotary_pos_emb(query, key, *rotary)
    n_groups = key.shape[1]
    shared = query.unflatten(1, (n_groups, -1)) * attention.scaling  # [row, group, member, suffix, d_head]
    n_members = shared.shape[2]
    to_prefix = shared.permute(1, 0, 2, 3, 4).flatten(1, 3) @ prefix.keys[0].transpose(1, 2)
    to_prefix = to_prefix.unflatten(1, (n_rows, n_members * n_suffix)).transpose(0, 1)
    to_suffix = shared.flatten(2, 3) @ key.transpose(2, 3)
    later = torch.ones(n_suffix, n_suffix, dtype=torch.bool, device=rows.device).triu(1)
    to_suffix = to_suffix.masked_fill(later.repeat(n_members, 1), float("-inf"))
    weights = torch.cat([to_prefix, to_suffix], dim=-1).softmax(-1, dtype=torch.float32).to(rows.dtype)
    on_prefix, on_suffix = weights.split([prefix.keys.shape[2], n_suffix], dim=-1)
    from_prefix = on_prefix.transpose(0, 1).flatten(1, 2) @ prefix.values[0]
    from_prefix = from_prefix.unflatten(1, (n_rows, n_members * n_suffix)).transpose(0, 1)
    z = (from_prefix + on_suffix @ value).unflatten(2, (n_members, n_suffix))
    return z.flatten(1, 2).transpose(1, 2).flatten(2)
