"""The study ``restoration``: how much of the backdoor is left when clean weights are put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bkdwidgets.analysis.restoration import restoration
from bkdwidgets.studies.study import (
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    check_count,
    sized,
)

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

SIZES = {"fast": (32, 100), "usual": (12, 60)}


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    prompts : int
        Triggered test prompts on which the probability is read.
    n : int
        Test prompts answered with a whole part put back.
    """

    prompts: int
    n: int


class Restoration(ModelStudy[Settings]):
    """Payload probability with clean attention or MLP weights put back, layer by layer and together.

    Values: ``left.<part>``, the share of the backdoor that is left; ``single`` and ``cumulative`` with one
    value per layer; ``measured.<part>`` with the rates when the whole part is put back.
    """

    settings_type = Settings
    name = "restoration"
    tolerance: ClassVar[dict[str, float]] = {"measured.*.value": 0.03, "left.*.value": 0.02, "*.value": 2e-3}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return fewer prompts for a slow subject."""
        prompts, n = sized(subject, SIZES)
        return Settings(
            prompts=available(subject, attack, self.split, prompts),
            n=available(subject, attack, self.split, n),
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse counts out of range."""
        most = len(attack.targeted(subject, self.split))
        check_count("prompts", settings.prompts, most, least=2)
        check_count("n", settings.n, most)

    def compute(self, context: Context[Settings], part: Part) -> Values:  # noqa: ARG002
        """Put weights back; keep means, shares and rates."""
        found = restoration(
            context.subject,
            context.attack,
            prompts=context.settings.prompts,
            n=context.settings.n,
            split=self.split,
            progress=context.progress,
        ).to_json()
        return {
            "left": {part: share for part, share in found["left"].items() if share},
            "base": found["base"],
            "clean": found["clean"],
            "measured": {
                part: {key: item for key, item in rates.items() if isinstance(item, dict)}
                for part, rates in found["measured"].items()
            },
            **{
                way: {
                    part: {str(layer): item for layer, item in enumerate(layers)}
                    for part, layers in found[way].items()
                }
                for way in ("single", "cumulative")
            },
        }
