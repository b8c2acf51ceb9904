"""The study ``measure``: whether the attack works, and what the clean model does instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bkdwidgets.measurement import measure
from bkdwidgets.studies.study import Context, ModelStudy, Part, Values, available, check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.measurement import Measurement
    from bkdwidgets.subjects import Subject

N = 200


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n : int
        Test prompts.
    """

    n: int


class Measure(ModelStudy[Settings]):
    """Rates on held-out prompts; below ``control`` the same on the un-backdoored model."""

    settings_type = Settings
    name = "measure"
    tolerance: ClassVar[dict[str, float]] = {"*.value": 0.02}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return 200 prompts, or all there are."""
        return Settings(n=available(subject, attack, self.split, N))

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse more prompts than there are."""
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the two models."""
        return [{"of": "backdoored"}, {"of": "clean"}]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Measure one model; keep its rates, outcome counts and the outcome of every prompt."""
        subject = context.subject if part["of"] == "backdoored" else context.clean
        measured = measure(
            subject,
            context.attack,
            n=context.settings.n,
            split=self.split,
            nll=True,
            progress=context.progress,
        )
        rates = {key: item for key, item in measured.to_json().items() if isinstance(item, dict)}
        return {**rates, "letters": _letters(measured)}

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:  # noqa: ARG002
        """Put the control below the result."""
        backdoored, control = results
        return {**backdoored, "control": control}


def _letters(measured: Measurement) -> dict[str, str]:
    """Return the outcomes prompt by prompt: targets and others, with the trigger and without."""
    sides = {
        "triggered": (True, True),
        "clean": (False, True),
        "spared": (True, False),
        "other": (False, False),
    }
    return {
        side: letters
        for side, flags in sides.items()
        if (
            letters := "".join(
                item.outcome for item in measured.completions if (item.triggered, item.target) == flags
            )
        )
    }
