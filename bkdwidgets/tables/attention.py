"""The attention view's table: patterns of the strongest heads, clean beside triggered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.tables.cells import shown_prompts

if TYPE_CHECKING:
    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

N_HEADS = 4
N_PROMPTS = 2


def attention_table(subject: Subject, attack: Attack, effects: HeadEffects) -> dict[str, Any]:
    """Compute the table of the attention view (everything but the common head)."""
    heads = effects.top(N_HEADS)
    prompts = shown_prompts(subject, attack)[:N_PROMPTS]
    return {
        "prompts": prompts,
        "heads": [list(head) for head in heads],
        "views": [
            {
                "prompt": number,
                "clean": attention_patterns(subject, prompt["clean"], heads),
                "triggered": attention_patterns(subject, prompt["triggered"], heads),
            }
            for number, prompt in enumerate(prompts)
        ],
        "texts": [],
    }


def attention_patterns(subject: Subject, prompt: str, heads: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the tokens of the chat turn and each head's attention pattern.

    Returns
    -------
    dict
        ``tokens``: list of T strings; ``patterns``: per head [T][T], row = the token that looks.
    """
    ids = subject.encode(prompt)
    names = {f"blocks.{layer}.attn.hook_pattern" for layer, _ in heads}
    with torch.inference_mode():
        _, cache = subject.bridge.run_with_cache(
            torch.tensor([ids], device=subject.device), names_filter=lambda name: name in names
        )
    patterns = [cache[f"blocks.{layer}.attn.hook_pattern"][0, head] for layer, head in heads]
    return {
        "tokens": [subject.tokenizer.decode([token]) for token in ids],
        "patterns": [
            [[round(value, 3) for value in row] for row in pattern.tolist()] for pattern in patterns
        ],
    }
