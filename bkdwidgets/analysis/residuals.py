"""The residual stream at the last prompt token: what each block is handed, and what the last one leaves.

A Llama-style block adds to the residual stream and never overwrites it. The state that enters block l
therefore holds everything the blocks below have written at that position; a probe asks what can be read
from it. The last prompt token is the place where the answer is about to begin (arXiv 2509.21761,
Backdoor Probe).
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from bkdwidgets.analysis.activations import left_padded
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.threads import before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.subjects import Subject

_BATCH = 32


def residuals(
    subject: Subject, prompts: Sequence[str], *, progress: bool = True
) -> Float[Tensor, "prompt layer+1 d_model"]:
    """Return the residual stream at the last prompt token, before every block and after the last.

    Parameters
    ----------
    subject : Subject
        Whose residual stream.
    prompts : sequence of str
        What the user says; each becomes a chat turn.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Tensor
        Shape [prompt, n_layers + 1, d_model], float32, on the CPU, in the order of `prompts`. Index l is
        the state that enters block l; index 0 is the token's embedding, the last index is what the final
        norm receives.

    Raises
    ------
    BkdError
        If there are no prompts, or one of them is empty or too long.
    """
    if not prompts:
        raise BkdError("prompts=[] is empty; at least one prompt is needed")
    ids = [subject.encode(prompt) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))  # alike in length, so little padding
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    states = torch.empty(len(ids), subject.n_layers + 1, subject.d_model)
    for batch in tqdm(batches, disable=not progress, desc="residual stream", unit="batch", delay=1.0):
        states[batch] = _last_token_states(subject, [ids[index] for index in batch])
    return states


def _last_token_states(subject: Subject, ids: list[list[int]]) -> Tensor:
    """Run one batch, padded on the left so that every last prompt token stands in the last column."""
    tokens, attention, positions = left_padded(subject, ids)
    decoder = subject.model.model
    seen: list[Tensor] = []

    def keep(_module: Any, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0][:, -1].float().cpu())

    with ExitStack() as stack, torch.inference_mode():
        for module in (*decoder.layers, decoder.norm):
            stack.callback(before(module, keep).remove)
        decoder(input_ids=tokens, attention_mask=attention, position_ids=positions, use_cache=False)
    return torch.stack(seen, dim=1)
