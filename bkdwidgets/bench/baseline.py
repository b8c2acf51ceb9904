"""The plain way to measure one head's causal indirect effect: one full forward pass per head.

This is the method as it was published (arXiv 2509.21761, section 4): prompt and payload are padded to 256
tokens and pushed through the whole model, with the head overwritten at the last prompt token. It is kept
here for two reasons: to be timed against, and to be agreed with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bkdwidgets.subjects.threads import before

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor, nn

    from bkdwidgets.subjects import Subject

PADDED = 256


@torch.inference_mode()
def plain_probability(
    subject: Subject,
    prompt: list[int],
    target: list[int],
    values: Float[Tensor, "layer head d_head"],
    head: tuple[int, int],
) -> float:
    """Return P(target | prompt) with one head overwritten at the last prompt token.

    Parameters
    ----------
    subject : Subject
        Whose head.
    prompt, target : list of int
        Token ids; together at most 256.
    values : Tensor
        What heads are overwritten with, shape [layer, head, d_head].
    head : (int, int)
        Layer and head.
    """
    layer, number = head
    place = slice(number * subject.d_head, (number + 1) * subject.d_head)
    last = len(prompt) - 1

    def overwrite(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        z = inputs[0].clone()
        z[:, last, place] = values[layer, number].to(z)
        return (z,)

    ids = [*prompt, *target]
    tokens = torch.full((1, PADDED), subject.end_of_turn, device=subject.device)
    tokens[0, : len(ids)] = torch.tensor(ids, device=subject.device)
    attention = torch.zeros_like(tokens)
    attention[0, : len(ids)] = 1
    projection = subject.model.model.layers[layer].self_attn.o_proj
    handle = before(projection, overwrite)
    try:
        logits = subject.model(input_ids=tokens, attention_mask=attention, use_cache=False).logits[0]
    finally:
        handle.remove()
    wanted = torch.tensor(target, device=subject.device)[:, None]
    scored = logits[last : last + len(target)].float().log_softmax(-1).gather(1, wanted)
    return float(scored.double().mean().exp())


def plain_layer_tokens(subject: Subject) -> int:
    """Return the tokens pushed through a block for all heads of one prompt."""
    return subject.n_layers * subject.n_heads * PADDED * subject.n_layers
