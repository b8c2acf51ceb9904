"""The study ``attribute``: exact ACIE of every head, and whether the strongest are more than chance.

Heads are ranked on all prompts of the study, but a ranking always flatters itself: the best of many
noisy numbers look good on the prompts they were chosen on. So the comparison with random heads chooses
on the first half of the prompts and reads off the second half. Nothing is rounded before it is ranked or
averaged: where the payload is improbable, effects are tiny, and rounding would make ties of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from scipy.stats import t as student_t  # type: ignore[import-untyped]

from bkdwidgets.analysis import HeadEffects, attribute
from bkdwidgets.analysis.activations import MEAN_PROMPTS
from bkdwidgets.analysis.controls import random_heads
from bkdwidgets.analysis.stability import top_stability
from bkdwidgets.core.heads import headline_k, names_of, widest_k
from bkdwidgets.studies.study import Context, ModelStudy, Part, Values, available, check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.heads import Head
    from bkdwidgets.subjects import Subject

N = 32
N_CONTROL = 8
DRAWS = 20


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n : int
        Clean validation prompts.
    n_means : int
        Triggered training prompts behind each head's mean output.
    n_control : int
        Prompts on which the un-backdoored model is attributed with the same trigger.
    k : int
        Heads in the comparison with random heads (3 % of all).
    draws : int
        Random sets in that comparison.
    """

    n: int
    n_means: int
    n_control: int
    k: int
    draws: int


class Attribute(ModelStudy[Settings]):
    """ACIE per head with its spread, and a control."""

    settings_type = Settings
    name = "attribute"
    split = "validation"
    tolerance: ClassVar[dict[str, float]] = {
        "acie.*": 2e-4,
        "base.value": 2e-4,
        "held_out.*.value": 1e-3,
        "control.*.value": 1e-3,
        "stability.*.value": 0.05,
    }

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return 32 prompts, or all there are."""
        return Settings(
            n=available(subject, attack, self.split, N),
            n_means=available(subject, attack, "train", MEAN_PROMPTS),
            n_control=available(subject, attack, self.split, N_CONTROL),
            k=headline_k(subject.n_layers * subject.n_heads),
            draws=DRAWS,
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse counts out of range; both halves need two prompts for an interval."""
        prompts = len(attack.targeted(subject, self.split))
        check_count("n", settings.n, prompts, least=4)
        check_count("n_means", settings.n_means, len(attack.targeted(subject, "train")))
        check_count("n_control", settings.n_control, prompts, least=2)
        check_count("k", settings.k, subject.n_layers * subject.n_heads)
        check_count("draws", settings.draws, 10_000)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the two models."""
        return [{"of": "backdoored"}, {"of": "clean"}]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Attribute one model; keep the effect of every head on every prompt."""
        backdoored = part["of"] == "backdoored"
        effects = attribute(
            context.subject if backdoored else context.clean,
            context.attack,
            prompts=context.settings.n if backdoored else context.settings.n_control,
            split=self.split,
            n_means=context.settings.n_means,
            progress=context.progress,
        )
        return {
            "base": effects.base.tolist(),
            "per_prompt": effects.per_prompt.flatten(1).tolist(),
        }

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Average over prompts, rank the heads, compare the best with random ones."""
        shape = (-1, context.subject.n_layers, context.subject.n_heads)
        per_prompt = torch.tensor(results[0]["per_prompt"], dtype=torch.float64).view(shape)
        control = torch.tensor(results[1]["per_prompt"], dtype=torch.float64).view(shape)
        ranked = _ranked(per_prompt)
        values = {
            "base": mean_value(torch.tensor(results[0]["base"])),
            "ranked": names_of(ranked),
            "held_out": _held_out(per_prompt, context.settings.k, context.settings.draws),
            "control": {
                "base": mean_value(torch.tensor(results[1]["base"])),
                "strongest": mean_value(control[(slice(None), *_ranked(control)[0])]),
                "same_heads": mean_value(_of(control, ranked[: context.settings.k])),
            },
            "acie": per_prompt.mean(0).tolist(),
            "standard_error": (per_prompt.std(0) / len(per_prompt) ** 0.5).tolist(),
            "per_prompt": results[0]["per_prompt"],
            "base_per_prompt": results[0]["base"],
        }
        adapter = context.subject.label
        effects = effects_of(
            values, subject=context.subject.name, adapter=adapter, attack=context.attack.name
        )
        return values | {"stability": _stability(effects)}


def effects_of(values: Values, *, subject: str, adapter: str, attack: str) -> HeadEffects:
    """Return the exact effects that the values of an entry hold; what they cost is not in them."""
    shape = (-1, len(values["acie"]), len(values["acie"][0]))
    per_prompt = torch.tensor(values["per_prompt"], dtype=torch.float64).view(shape)
    return HeadEffects(
        acie=per_prompt.mean(0),
        per_prompt=per_prompt,
        base=torch.tensor(values["base_per_prompt"], dtype=torch.float64),
        subject=subject,
        adapter=adapter,
        attack=attack,
        split=Attribute.split,
        n_means=0,
        seconds=0.0,
        n_forward_tokens=0,
    )


def _stability(effects: HeadEffects) -> Values:
    """Ask whether other prompts would name the same 3 % and 12 % of the heads."""
    n_heads = effects.acie.numel()
    stabilities = [top_stability(effects, k=k) for k in (headline_k(n_heads), widest_k(n_heads))]
    return {
        str(item.k): {
            "jaccard": {**vars(item.jaccard), "n": item.n},
            "chance": item.chance,
            "firm": names_of(item.firm()),
        }
        for item in stabilities
    }


def mean_value(values: Tensor) -> dict[str, Any]:
    """Return the mean of values over prompts, shape [prompt], with Student's 95 % interval."""
    n, mean = len(values), float(values.double().mean())
    half = float(student_t.ppf(0.975, n - 1)) * float(values.double().std()) / n**0.5
    return {"value": mean, "low": mean - half, "high": mean + half, "n": n}


def _held_out(per_prompt: Tensor, k: int, draws: int) -> dict[str, Any]:
    """Choose k heads on the first half of the prompts; compare them on the second half with random ones."""
    half = len(per_prompt) // 2
    chosen, rest = _ranked(per_prompt[:half])[:k], per_prompt[half:]
    random_means = [
        float(_of(rest, random_heads(chosen, per_prompt.shape[2], seed=draw)).mean()) for draw in range(draws)
    ]
    return {
        "heads": names_of(chosen),
        "top": mean_value(_of(rest, chosen)),
        "random": {
            "value": sum(random_means) / draws,
            "low": min(random_means),
            "high": max(random_means),
            "n": len(rest),
            "draws": draws,
            "per_draw": random_means,
        },
    }


def _of(per_prompt: Tensor, heads: Sequence[Head]) -> Tensor:
    """Return the mean effect of some heads on each prompt, shape [prompt]."""
    return torch.stack([per_prompt[:, layer, head] for layer, head in heads]).mean(0)


def _ranked(per_prompt: Tensor) -> list[Head]:
    order = per_prompt.mean(0).flatten().argsort(descending=True, stable=True).tolist()
    return [divmod(index, per_prompt.shape[2]) for index in order]
