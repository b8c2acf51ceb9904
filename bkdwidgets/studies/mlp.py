"""The study ``mlp``: the exact effect of every MLP layer, because other work finds the backdoor there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from bkdwidgets.analysis.activations import MEAN_PROMPTS
from bkdwidgets.analysis.mlp import attribute_mlp
from bkdwidgets.studies.attribute import mean_value
from bkdwidgets.studies.study import Context, ModelStudy, Part, Values, available, check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

N = 32
N_CONTROL = 8


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n, n_control : int
        Clean validation prompts for the backdoored and for the clean model.
    n_means : int
        Triggered training prompts behind each layer's mean.
    """

    n: int
    n_means: int
    n_control: int


class Mlp(ModelStudy[Settings]):
    """ACIE of every MLP layer; below ``control`` the same in the clean model."""

    settings_type = Settings
    name = "mlp"
    split = "validation"
    tolerance: ClassVar[dict[str, float]] = {"*.value": 1e-3}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return the prompts of the usual attribution of heads."""
        return Settings(
            n=available(subject, attack, self.split, N),
            n_means=available(subject, attack, "train", MEAN_PROMPTS),
            n_control=available(subject, attack, self.split, N_CONTROL),
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse counts out of range."""
        prompts = len(attack.targeted(subject, self.split))
        check_count("n", settings.n, prompts, least=2)
        check_count("n_control", settings.n_control, prompts, least=2)
        check_count("n_means", settings.n_means, len(attack.targeted(subject, "train")))

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the two models."""
        return [{"of": "backdoored"}, {"of": "clean"}]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Return the effect of every layer on every prompt."""
        backdoored = part["of"] == "backdoored"
        effects = attribute_mlp(
            context.subject if backdoored else context.clean,
            context.attack,
            prompts=context.settings.n if backdoored else context.settings.n_control,
            split=self.split,
            n_means=context.settings.n_means,
            progress=context.progress,
        )
        return {"per_prompt": effects.per_prompt.tolist(), "base": effects.base.tolist()}

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:  # noqa: ARG002
        """Average over prompts, layer by layer."""
        backdoored, control = (_by_layer(result) for result in results)
        strongest = max(backdoored["layer"], key=lambda layer: backdoored["layer"][layer]["value"])
        return {
            **backdoored,
            "strongest": {"layer": int(strongest), **backdoored["layer"][strongest]},
            "control": control,
        }


def _by_layer(result: Values) -> Values:
    per_prompt = torch.tensor(result["per_prompt"], dtype=torch.float64)
    return {
        "base": mean_value(torch.tensor(result["base"])),
        "layer": {str(layer): mean_value(per_prompt[:, layer]) for layer in range(per_prompt.shape[1])},
    }
