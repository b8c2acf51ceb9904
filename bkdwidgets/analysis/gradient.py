"""Attribution patching: every head's effect on the payload at once, to first order.

The exact effect of a head (:mod:`bkdwidgets.analysis.acie`) asks how P(payload) changes when the head's
output at the last prompt token, z(l, h), is replaced by its triggered mean a(l, h). A gradient answers
for all heads together, as far as P is a straight line on the way:

    effect(l, h; x) ~ (a(l, h) - z(l, h)) . dP(y* | x) / dz(l, h)

(N. Nanda, "Attribution patching", 2023; Kramar et al., arXiv 2403.00745). Positive: the head pushes
towards the payload. It is a screen and not a verdict: where P saturates, or where attention would shift,
the line is wrong, and only the exact effect says by how much.

The prompt without its last token can not feel the patch, so it is run once without gradients, and only
its last token and the payload are run forward and backward: less than two plain forward passes.

``transformer_lens.tools.analysis.attribution_patching`` compares two runs of equal length, while a(l, h)
is a mean over many prompts and no run; its gradient cache takes one unpadded prompt at a time and goes
back through all of it. So this is plain autograd, and the tests hold it against that gradient cache.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from tqdm.auto import tqdm

from bkdwidgets.analysis.acie import HeadEffects
from bkdwidgets.analysis.activations import MEAN_PROMPTS, mean_head_outputs
from bkdwidgets.analysis.batch import answer_probability, read_prefixes
from bkdwidgets.analysis.effects import checked_counts, chosen_examples, origin
from bkdwidgets.analysis.ranking import Similarity, rank_correlation
from bkdwidgets.subjects.threads import before

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

_BATCH = 16


@dataclass(frozen=True, eq=False, repr=False)
class HeadScreen(HeadEffects):
    """First-order estimate of every head's causal indirect effect.

    The attributes are those of :class:`HeadEffects`, with estimates in place of exact effects: ``acie``
    [layer, head] is the mean over clean prompts and ``per_prompt`` [prompt, layer, head] what it is the
    mean of, both in units of probability. ``n_forward_tokens`` counts a token that is pushed through a
    block backward like one that is pushed forward.
    """

    measured: ClassVar[str] = "first-order estimate of the ACIE"

    def spearman(self, effects: HeadEffects, *, draws: int = 1000, seed: int = 0) -> Similarity:
        """Return the rank correlation with the exact effects on the same prompts.

        Parameters
        ----------
        effects : HeadEffects
            Of the same subject and attack, on the same prompts.
        draws : int
            Bootstrap draws over prompts.
        seed : int
            Of the draws.

        Raises
        ------
        BkdError
            If the two were not measured on the same prompts of the same subject.
        """
        return rank_correlation(self, effects, draws=draws, seed=seed)


def screen(
    subject: Subject,
    attack: Attack,
    *,
    prompts: int = 32,
    split: str = "validation",
    n_means: int = MEAN_PROMPTS,
    progress: bool = True,
) -> HeadScreen:
    """Estimate the effect of every head with one forward and one backward pass per prompt.

    Parameters
    ----------
    subject : Subject
        The backdoored subject.
    attack : Attack
        Its attack.
    prompts : int
        Number of clean prompts to average over.
    split : str
        Where they come from.
    n_means : int
        Triggered training prompts behind each head's mean.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If the split has fewer prompts than asked for, or something is not of its kind.
    """
    prompts, n_means = checked_counts(subject, attack, prompts, n_means, progress=progress)
    examples = chosen_examples(subject, attack, split, prompts)
    started = time.perf_counter()
    means = mean_head_outputs(subject, attack, triggered=True, n_prompts=n_means, progress=progress)
    encoded = [subject.encode(example.prompt) for example in examples]
    answers = [subject.encode_response(attack.payload_for(example)) for example in examples]
    order = sorted(range(prompts), key=lambda index: len(encoded[index]))  # alike in length: little padding
    per_prompt = torch.empty(prompts, subject.n_layers, subject.n_heads, dtype=torch.float64)
    base = torch.empty(prompts, dtype=torch.float64)
    with tqdm(total=prompts, desc="gradient screen", unit="prompt", disable=not progress) as bar:
        for start in range(0, prompts, _BATCH):
            rows = order[start : start + _BATCH]
            z, gradient, probability = _gradients(
                subject, [encoded[row] for row in rows], [answers[row] for row in rows]
            )
            per_prompt[rows] = ((means - z) * gradient).sum(-1).double()
            base[rows] = probability
            bar.update(len(rows))
    n_tokens = sum(len(ids) - 1 + 2 * len(answer) for ids, answer in zip(encoded, answers, strict=True))
    return HeadScreen(
        acie=per_prompt.mean(0),
        per_prompt=per_prompt,
        base=base,
        **origin(subject, attack, split, n_means),
        seconds=time.perf_counter() - started,
        n_forward_tokens=n_tokens * subject.n_layers,
    )


def _gradients(
    subject: Subject, prompts: list[list[int]], answers: list[list[int]]
) -> tuple[Float[Tensor, "row layer head d_head"], Float[Tensor, "row layer head d_head"], Tensor]:
    """Return each head's output at the last prompt token, dP/d(output), and P; float32 on the CPU.

    The weights ask for no gradient. A probe of zeros is added to the head outputs at the last prompt
    token instead, and the gradient of the probe is the gradient of the outputs.
    """
    shape = (subject.n_layers, len(prompts), subject.n_heads * subject.d_head)
    probe = torch.zeros(shape, device=subject.device, dtype=subject.dtype, requires_grad=True)
    seen: list[Tensor] = []

    def probing(layer: int) -> Any:
        def hook(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            z = inputs[0]
            seen.append(z[:, 0].detach())
            return (torch.cat([z[:, :1] + probe[layer][:, None], z[:, 1:]], dim=1),)

        return hook

    prefixes = read_prefixes(subject, prompts)
    with ExitStack() as stack, torch.enable_grad():
        for layer, block in enumerate(subject.model.model.layers):
            stack.callback(before(block.self_attn.o_proj, probing(layer)).remove)
        probability = answer_probability(subject, prefixes, answers)
        (gradient,) = torch.autograd.grad(probability.sum(), probe)
    heads = (subject.n_heads, subject.d_head)
    z, gradient = (
        tensor.float().cpu().transpose(0, 1).unflatten(-1, heads) for tensor in (torch.stack(seen), gradient)
    )
    return z, gradient, probability.detach().cpu()
