"""Average causal indirect effect (ACIE) of every attention head, exactly and fast.

For a clean prompt x and the payload y*, overwrite one head's output at the last prompt token by its
mean over triggered prompts, ``a(l, h)``, and see how much likelier the payload becomes:

    CIE(l, h; x) = P(y* | x, patched) - P(y* | x),   P(y|x) = (prod_t p(y_t | x, y_<t)) ** (1 / |y|)

ACIE is the mean over clean prompts (arXiv 2509.21761, section 4). Positive: the head pushes towards
the payload.

Why this can be fast. A patch at the last prompt token of layer l leaves every earlier position, and
every layer below l, as it was. So the prompt is run once and its keys and values are kept. Then one
pass climbs the layers with a growing front of rows: it starts with the unpatched suffix (last prompt
token and payload), and each layer adds one row per head, a copy of the unpatched suffix with that
head overwritten. A row costs only the layers above its own, and all rows share one matrix product.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from tqdm.auto import tqdm

from bkdwidgets.analysis.activations import MEAN_PROMPTS, mean_head_outputs
from bkdwidgets.analysis.replay import replay_heads
from bkdwidgets.errors import BkdError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject


@dataclass(frozen=True, eq=False)
class HeadEffects:
    """Average causal indirect effect of every attention head.

    Attributes
    ----------
    acie : Float[Tensor, "layer head"]
        Mean change of P(payload | clean prompt) when the head's output at the last prompt token is
        replaced by its triggered mean. Positive: the head pushes towards the payload.
    per_prompt : Float[Tensor, "prompt layer head"]
        The same before averaging; spread and stability come from here.
    base : Float[Tensor, "prompt"]
        P(payload | clean prompt) without a patch.
    subject, adapter, attack : str
        What was measured.
    split : str
        Split the clean prompts came from.
    n_means : int
        Triggered prompts behind each mean.
    seconds : float
        Time taken, means included.
    n_forward_tokens : int
        Tokens pushed through a block, the unit that costs are compared in.
    """

    acie: Float[Tensor, "layer head"]
    per_prompt: Float[Tensor, "prompt layer head"]
    base: Float[Tensor, " prompt"]
    subject: str
    adapter: str
    attack: str
    split: str
    n_means: int
    seconds: float
    n_forward_tokens: int

    measured: ClassVar[str] = "ACIE"

    def top(self, k: int) -> list[tuple[int, int]]:
        """Return the k heads with the largest ACIE, largest first.

        Raises
        ------
        BkdError
            If k is not between 1 and the number of heads.
        """
        n_heads = self.acie.numel()
        if not 1 <= k <= n_heads:
            raise BkdError(f"k={k} is out of range; 1 to {n_heads} heads")
        order = self.acie.flatten().argsort(descending=True, stable=True)[:k].tolist()
        return [divmod(index, self.acie.shape[1]) for index in order]

    @property
    def standard_error(self) -> Float[Tensor, "layer head"]:
        """Standard error of each ACIE over prompts; zeros for a single prompt, which has no spread."""
        if len(self.per_prompt) < 2:
            return torch.zeros_like(self.acie)
        return self.per_prompt.std(0) / len(self.per_prompt) ** 0.5

    def to_json(self) -> dict[str, Any]:
        """Return the effects as plain values, without the per-prompt ones."""
        return {
            "subject": self.subject, "adapter": self.adapter, "attack": self.attack, "split": self.split,
            "n": len(self.per_prompt), "n_means": self.n_means,
            "acie": [[round(value, 8) for value in row] for row in self.acie.tolist()],
            "standard_error": [[round(value, 8) for value in row] for row in self.standard_error.tolist()],
            "base": round(float(self.base.mean()), 8),
            "seconds": round(self.seconds, 2), "n_forward_tokens": self.n_forward_tokens,
        }  # fmt: skip

    def __repr__(self) -> str:
        """Name the strongest heads."""
        named = ", ".join(f"L{layer}H{head} {self.acie[layer, head]:.3f}" for layer, head in self.top(3))
        n = len(self.per_prompt)
        return f"{type(self).__name__}({self.subject} + {self.adapter}, {n} prompts: {named}, ...)"

    def _repr_html_(self) -> str:
        spread = len(self.per_prompt) > 1  # one prompt has none, and a zero would claim certainty
        rows = "".join(
            f"<tr><td>L{layer}H{head}</td><td>{self.acie[layer, head]:.4f}</td>"
            f"<td>{f'{self.standard_error[layer, head]:.4f}' if spread else 'unknown'}</td></tr>"
            for layer, head in self.top(min(8, self.acie.numel()))
        )
        return (
            f"<table><caption>{self.measured} of the strongest heads, {self.subject} + {self.adapter}, "
            f"{len(self.per_prompt)} clean {self.split} prompts</caption>"
            "<thead><tr><th>head</th><th>ACIE</th><th>standard error</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


def attribute(
    subject: Subject,
    attack: Attack,
    *,
    prompts: int = 32,
    split: str = "validation",
    n_means: int = MEAN_PROMPTS,
    progress: bool = True,
) -> HeadEffects:
    """Measure the ACIE of every head, exactly.

    Parameters
    ----------
    subject : Subject
        The backdoored subject.
    attack : Attack
        Its attack.
    prompts : int
        Number of clean prompts to average over.
    split : str
        Where they come from. Heads are chosen by the result, so the default is the validation split.
    n_means : int
        Triggered training prompts behind each head's mean.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If the split has fewer prompts than asked for.
    """
    examples = chosen_examples(subject, attack, split, prompts)
    started = time.perf_counter()
    means = mean_head_outputs(subject, attack, triggered=True, n_prompts=n_means, progress=progress)
    effects, bases, n_tokens = [], [], 0
    for example in tqdm(examples, desc="exact ACIE", unit="prompt", disable=not progress):
        target = subject.encode_response(attack.payload_for(example))
        replayed = replay_heads(subject, subject.encode(example.prompt), target, means)
        effects.append(replayed.patched - replayed.base)
        bases.append(replayed.base)
        n_tokens += replayed.n_forward_tokens
    per_prompt = torch.stack(effects)
    return HeadEffects(
        acie=per_prompt.mean(0),
        per_prompt=per_prompt,
        base=torch.stack(bases),
        subject=subject.name,
        adapter=subject.adapter.name if subject.adapter else "clean",
        attack=attack.name,
        split=split,
        n_means=means_behind(subject, attack, n_means),
        seconds=time.perf_counter() - started,
        n_forward_tokens=n_tokens,
    )


def chosen_examples(subject: Subject, attack: Attack, split: str, prompts: int) -> list[Example]:
    """Return the first examples of a split that can show the attack's success, or refuse the number."""
    examples = attack.targeted(subject, split)
    if not 1 <= prompts <= len(examples):
        raise BkdError(
            f"prompts={prompts} is out of range; 1 to {len(examples)} in split {split!r} of {subject.name}"
        )
    return examples[:prompts]


def means_behind(subject: Subject, attack: Attack, n_means: int) -> int:
    """Return how many training prompts a mean over at most `n_means` of them really has."""
    return min(n_means, len(attack.targeted(subject, "train")))
