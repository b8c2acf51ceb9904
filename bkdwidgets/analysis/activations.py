"""Head outputs at the last prompt token, and their means over triggered and clean prompts.

A head's output ``z`` is its slice of what enters the output projection W_O, a vector of width
``d_head``. What it writes to the residual stream is ``z W_O[head]``; because that map is linear, a
mean taken in either space is the same mean.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.threads import before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.anatomy import Anatomy

MEAN_PROMPTS = 96
_BATCH = 32


def head_outputs(
    subject: Subject, prompts: Sequence[str], *, progress: bool = False
) -> Float[Tensor, "prompt layer head d_head"]:
    """Return every head's output at the last prompt token.

    Parameters
    ----------
    subject : Subject
        Whose heads.
    prompts : sequence of str
        What the user says; each becomes a chat turn.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Tensor
        Shape [prompt, layer, head, d_head], float32, on the CPU.
    """
    if not prompts:
        raise BkdError("prompts=[] is empty; at least one prompt is needed")
    batches = [list(prompts[start : start + _BATCH]) for start in range(0, len(prompts), _BATCH)]
    anatomy = subject.anatomy
    parts = [
        _last_token_outputs(subject, anatomy, batch)
        for batch in tqdm(batches, disable=not progress, desc="head outputs")
    ]
    return torch.cat(parts)


def mean_head_outputs(
    subject: Subject,
    attack: Attack,
    *,
    triggered: bool,
    n_prompts: int = MEAN_PROMPTS,
    progress: bool = False,
) -> Float[Tensor, "layer head d_head"]:
    """Return the mean head outputs over training prompts, with or without the trigger.

    The paper's ``a(l, h)`` is the triggered mean (arXiv 2509.21761, section 4). Means come from the
    training split, so that nothing that is reported later was used to make them. They are kept with
    the subject, because every mean ablation asks for the same ones.
    """
    prompts = [example.prompt for example in attack.targeted(subject, "train")[:n_prompts]]
    if triggered:
        prompts = [attack.poison(prompt) for prompt in prompts]
    return kept_mean(subject, prompts, progress=progress)


def kept_mean(
    subject: Subject, prompts: Sequence[str], *, progress: bool = False
) -> Float[Tensor, "layer head d_head"]:
    """Return the mean head outputs over some prompts, computed once for each set of them and kept."""
    key = ("mean head outputs", tuple(tuple(subject.encode(prompt)) for prompt in prompts))
    return subject.kept(key, lambda: head_outputs(subject, prompts, progress=progress).mean(0)).clone()


def output_weights(subject: Subject, layer: int) -> Float[Tensor, "head d_head d_model"]:
    """Return the output projection W_O of a block, one matrix per head."""
    weight = subject.model.model.layers[layer].self_attn.o_proj.weight
    return weight.T.unflatten(0, (subject.n_heads, subject.d_head))


def left_padded(
    subject: Subject, ids: Sequence[list[int]]
) -> tuple[Int[Tensor, "row token"], Int[Tensor, "row token"], Int[Tensor, "row token"]]:
    """Return the token ids of some prompts, their attention mask and their positions."""
    longest = max(map(len, ids))
    tokens = torch.full((len(ids), longest), subject.end_of_turn, device=subject.device)
    attention = torch.zeros_like(tokens)
    for number, row in enumerate(ids):
        tokens[number, longest - len(row) :] = torch.tensor(row, device=subject.device)
        attention[number, longest - len(row) :] = 1
    return tokens, attention, (attention.cumsum(1) - 1).clamp_min(0)


def _last_token_outputs(subject: Subject, anatomy: Anatomy, prompts: list[str]) -> Tensor:
    _, *shape = anatomy.head_shape()
    ids = [subject.encode(prompt) for prompt in prompts]
    tokens, attention, positions = left_padded(subject, ids)
    seen: list[Tensor] = []

    def keep(_module: Any, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0][:, -1].unflatten(-1, shape).float().cpu())

    with ExitStack() as stack, torch.inference_mode():
        for block in anatomy.blocks:
            if block.heads is not None:
                stack.callback(before(anatomy.model.get_submodule(block.heads.path), keep).remove)
        anatomy.decoder(anatomy.model)(
            input_ids=tokens, attention_mask=attention, position_ids=positions, use_cache=False
        )
    return torch.stack(seen, dim=1)
