"""Average causal indirect effect of every MLP layer.

Other work finds the backdoor in the MLP layers and sees attention only carrying it along (arXiv
2603.13461; arXiv 2302.12461). So the question that is asked of every head is asked of every MLP layer: on
a clean prompt, replace its output at the last prompt token by the mean over triggered prompts, and see how
much likelier the payload becomes. An MLP layer writes the whole width of the residual stream and a head
only ``d_head`` directions of it, so the two are compared in kind, not one for one.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from bkdwidgets.analysis.acie import chosen_examples, means_behind
from bkdwidgets.analysis.activations import MEAN_PROMPTS, left_padded
from bkdwidgets.analysis.replay import replay_mlps
from bkdwidgets.errors import BkdError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

_BATCH = 32


@dataclass(frozen=True, eq=False)
class MlpEffects:
    """Average causal indirect effect of every MLP layer.

    Attributes
    ----------
    acie : Float[Tensor, "layer"]
        Mean change of P(payload | clean prompt) when the layer's MLP output at the last prompt token is
        replaced by its triggered mean. Positive: the layer pushes towards the payload.
    per_prompt : Float[Tensor, "prompt layer"]
        The same before averaging.
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

    acie: Float[Tensor, " layer"]
    per_prompt: Float[Tensor, "prompt layer"]
    base: Float[Tensor, " prompt"]
    subject: str
    adapter: str
    attack: str
    split: str
    n_means: int
    seconds: float
    n_forward_tokens: int

    def top(self, k: int) -> list[int]:
        """Return the k layers with the largest ACIE, largest first.

        Raises
        ------
        BkdError
            If k is not between 1 and the number of layers.
        """
        if not 1 <= k <= len(self.acie):
            raise BkdError(f"k={k} is out of range; 1 to {len(self.acie)} layers")
        return self.acie.argsort(descending=True, stable=True)[:k].tolist()

    @property
    def standard_error(self) -> Float[Tensor, " layer"]:
        """Standard error of each ACIE over prompts; zeros for a single prompt, which has no spread."""
        if len(self.per_prompt) < 2:
            return torch.zeros_like(self.acie)
        return self.per_prompt.std(0) / len(self.per_prompt) ** 0.5

    def to_json(self) -> dict[str, Any]:
        """Return the effects as plain values, without the per-prompt ones."""
        return {
            "subject": self.subject, "adapter": self.adapter, "attack": self.attack, "split": self.split,
            "n": len(self.per_prompt), "n_means": self.n_means,
            "acie": [round(value, 8) for value in self.acie.tolist()],
            "standard_error": [round(value, 8) for value in self.standard_error.tolist()],
            "base": round(float(self.base.mean()), 8),
            "seconds": round(self.seconds, 2), "n_forward_tokens": self.n_forward_tokens,
        }  # fmt: skip

    def __repr__(self) -> str:
        """Name the strongest layers."""
        named = ", ".join(f"L{layer} {self.acie[layer]:.3f}" for layer in self.top(min(3, len(self.acie))))
        return f"MlpEffects({self.subject} + {self.adapter}, {len(self.per_prompt)} prompts: {named}, ...)"

    def _repr_html_(self) -> str:
        spread = len(self.per_prompt) > 1  # one prompt has none, and a zero would claim certainty
        rows = "".join(
            f"<tr><td>L{layer}</td><td>{self.acie[layer]:.4f}</td>"
            f"<td>{f'{self.standard_error[layer]:.4f}' if spread else 'unknown'}</td></tr>"
            for layer in self.top(min(8, len(self.acie)))
        )
        return (
            f"<table><caption>ACIE of the strongest MLP layers, {self.subject} + {self.adapter}, "
            f"{len(self.per_prompt)} clean {self.split} prompts</caption>"
            "<thead><tr><th>MLP layer</th><th>ACIE</th><th>standard error</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


def attribute_mlp(
    subject: Subject,
    attack: Attack,
    *,
    prompts: int = 32,
    split: str = "validation",
    n_means: int = MEAN_PROMPTS,
    progress: bool = True,
) -> MlpEffects:
    """Measure the ACIE of every MLP layer, exactly.

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
        Triggered training prompts behind each layer's mean.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If the split has fewer prompts than asked for.
    """
    examples = chosen_examples(subject, attack, split, prompts)
    started = time.perf_counter()
    means = mean_mlp_outputs(subject, attack, n_prompts=n_means, progress=progress)
    effects, bases, n_tokens = [], [], 0
    for example in tqdm(examples, desc="exact ACIE of MLP layers", unit="prompt", disable=not progress):
        target = subject.encode_response(attack.payload_for(example))
        replayed = replay_mlps(subject, subject.encode(example.prompt), target, means)
        effects.append(replayed.patched[:, 0] - replayed.base)
        bases.append(replayed.base)
        n_tokens += replayed.n_forward_tokens
    per_prompt = torch.stack(effects)
    return MlpEffects(
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


def mean_mlp_outputs(
    subject: Subject, attack: Attack, *, n_prompts: int = MEAN_PROMPTS, progress: bool = False
) -> Float[Tensor, "layer d_model"]:
    """Return the mean MLP outputs at the last prompt token over triggered training prompts, float32."""
    prompts = [attack.poison(example.prompt) for example in attack.targeted(subject, "train")[:n_prompts]]
    if not prompts:
        raise BkdError(f"n_prompts={n_prompts} leaves no prompt to average over; at least 1")
    ids = [subject.encode(prompt) for prompt in prompts]
    batches = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
    bar = tqdm(batches, disable=not progress, desc="MLP outputs")
    return torch.cat([_last_token_outputs(subject, batch) for batch in bar]).mean(0)


def _last_token_outputs(subject: Subject, ids: list[list[int]]) -> Float[Tensor, "prompt layer d_model"]:
    seen: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Tensor) -> None:
        seen.append(output[:, -1].float().cpu())

    tokens, attention, positions = left_padded(subject, ids)
    with ExitStack() as stack, torch.inference_mode():
        for block in subject.model.model.layers:
            stack.callback(block.mlp.register_forward_hook(keep).remove)
        subject.model.model(
            input_ids=tokens, attention_mask=attention, position_ids=positions, use_cache=False
        )
    return torch.stack(seen, dim=1)
