"""Suffix replay: all single-head patches at the last prompt token, in one climb through the layers.

Shapes: R rows (row 0 is unpatched), S suffix tokens (last prompt token, then the payload without its
last token), T prefix tokens (the prompt without its last token). Written for Llama-style blocks:
pre-norm, rotary attention with grouped keys, gated MLP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from bkdwidgets.analysis.activations import output_weights

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.subjects import Subject

# Rows of logits held at once: a vocabulary of 49,152 in float32 makes 100 MB of 512 rows.
_LOGIT_ROWS = 512


@dataclass(frozen=True)
class Replay:
    """Probabilities of the target, patched head by head.

    Attributes
    ----------
    base : Float[Tensor, ""]
        Length-normalized P(target | prompt), float64.
    patched : Float[Tensor, "layer head"]
        The same with one head overwritten, float64.
    n_forward_tokens : int
        Tokens pushed through a block.
    """

    base: Tensor
    patched: Float[Tensor, "layer head"]
    n_forward_tokens: int


@torch.inference_mode()
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
    """
    decoder = subject.model.model
    values = values.to(device=subject.device, dtype=subject.dtype)
    cache, rotary, front = _read(subject, prompt, target)
    n_tokens = (len(prompt) - 1) * subject.n_layers
    for layer, block in enumerate(decoder.layers):
        z = _attend(subject, block, front, cache.layers[layer], rotary)
        middle = front + block.self_attn.o_proj(z)
        change = (values[layer] - z[0, 0].unflatten(-1, (subject.n_heads, subject.d_head)))[:, None]
        patched = middle[0, 0] + (change @ output_weights(subject, layer))[:, 0]  # [head, d_model]
        front = middle + block.mlp(block.post_attention_layernorm(middle))
        n_tokens += front.shape[0] * front.shape[1] + subject.n_heads
        added = front[0].expand(subject.n_heads, -1, -1).clone()
        added[:, 0] = patched + block.mlp(block.post_attention_layernorm(patched))
        front = torch.cat([front, added])
    probabilities = _target_probability(subject, front, target)
    return Replay(
        base=probabilities[0],
        patched=probabilities[1:].unflatten(0, (subject.n_layers, subject.n_heads)),
        n_forward_tokens=n_tokens,
    )


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
    front: Float[Tensor, "row suffix d_model"],
    prefix: Any,
    rotary: tuple[Tensor, Tensor],
) -> Float[Tensor, "row suffix d_heads"]:
    """Return the head outputs of every row, before the output projection.

    All rows share the prefix's keys and values. Folding the rows into the query axis turns that part
    into one matrix product per key-value head, instead of one per row.
    """
    attention = block.self_attn
    n_rows, n_suffix, _ = front.shape
    normed = block.input_layernorm(front)
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
    later = torch.ones(n_suffix, n_suffix, dtype=torch.bool, device=front.device).triu(1)
    to_suffix = to_suffix.masked_fill(later.repeat(n_members, 1), float("-inf"))
    weights = torch.cat([to_prefix, to_suffix], dim=-1).softmax(-1, dtype=torch.float32).to(front.dtype)
    on_prefix, on_suffix = weights.split([prefix.keys.shape[2], n_suffix], dim=-1)
    from_prefix = on_prefix.transpose(0, 1).flatten(1, 2) @ prefix.values[0]
    from_prefix = from_prefix.unflatten(1, (n_rows, n_members * n_suffix)).transpose(0, 1)
    z = (from_prefix + on_suffix @ value).unflatten(2, (n_members, n_suffix))
    return z.flatten(1, 2).transpose(1, 2).flatten(2)


def _target_probability(
    subject: Subject, front: Float[Tensor, "row suffix d_model"], target: list[int]
) -> Float[Tensor, " row"]:
    hidden = subject.model.model.norm(front).flatten(0, 1)
    wanted = torch.tensor(target, device=subject.device).repeat(front.shape[0])
    parts = []
    for start in range(0, len(hidden), _LOGIT_ROWS):
        rows = slice(start, start + _LOGIT_ROWS)
        logits = subject.model.lm_head(hidden[rows]).float()
        parts.append(logits.gather(1, wanted[rows, None])[:, 0] - logits.logsumexp(-1))
    log_probability = torch.cat(parts).view(front.shape[0], -1).double()
    return log_probability.mean(1).exp().cpu()
