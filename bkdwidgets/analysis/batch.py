"""Prompts of different length, with their answers, as one batch.

Prompts are padded on the left, so that every last prompt token stands in the same column, and answers
on the right, where padding can do no harm. A prompt without its last token is its *prefix*; its last
token and the answer without its own last token are the *suffix*: all that a patch at the last prompt
token can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from bkdwidgets.analysis.activations import left_padded
from bkdwidgets.subjects.readout import product_log_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from torch import Tensor
    from transformers import DynamicCache

    from bkdwidgets.subjects import Subject


@dataclass(frozen=True, eq=False)
class Prefixes:
    """Prompts that were read up to their last token.

    Attributes
    ----------
    cache : DynamicCache
        Keys and values of the prefixes; reading a suffix fills it up, so it serves once.
    attention : Int[Tensor, "row prefix"]
        1 where there is a token, 0 where there is padding.
    last : tuple of int
        Last token of each prompt.
    """

    cache: DynamicCache
    attention: Int[Tensor, "row prefix"]
    last: tuple[int, ...]


def read_prefixes(subject: Subject, prompts: Sequence[list[int]]) -> Prefixes:
    """Run prompts, given as token ids, without their last token and without gradients."""
    from transformers import DynamicCache

    tokens, attention, positions = left_padded(subject, [ids[:-1] for ids in prompts])
    cache = DynamicCache()
    with torch.no_grad():
        subject.model.model(
            input_ids=tokens,
            attention_mask=attention,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
    return Prefixes(cache, attention, tuple(ids[-1] for ids in prompts))


def answer_probability(
    subject: Subject, prefixes: Prefixes, answers: Sequence[list[int]]
) -> Float[Tensor, " row"]:
    """Read the suffixes and return the length-normalized P(answer | prompt) of each row, float64, on the CPU.

    This is one pass with the last prompt token at position 0, so that hooks which are on meanwhile find
    it there, and so that a gradient is taken through the suffix alone.
    """
    longest = max(map(len, answers))
    wanted = torch.full((len(answers), longest), subject.end_of_turn, device=subject.device)
    for number, row in enumerate(answers):
        wanted[number, : len(row)] = torch.tensor(row, device=subject.device)
    last = torch.tensor(prefixes.last, device=subject.device)[:, None]
    attention = torch.cat([prefixes.attention, torch.ones_like(wanted)], dim=1)
    hidden = subject.model.model(
        input_ids=torch.cat([last, wanted[:, :-1]], dim=1),
        attention_mask=attention,
        position_ids=(attention.cumsum(1) - 1)[:, -longest:],
        past_key_values=prefixes.cache,
        use_cache=True,
    ).last_hidden_state
    lengths = torch.tensor([len(row) for row in answers], device=subject.device)
    counted = torch.arange(longest, device=subject.device) < lengths[:, None]
    log_probabilities = product_log_probabilities(subject.model.lm_head.weight, hidden, wanted)
    # To the CPU first: Apple's GPUs have no float64.
    means = (log_probabilities.cpu().double() * counted.cpu()).sum(1) / lengths.cpu()
    return means.exp()
