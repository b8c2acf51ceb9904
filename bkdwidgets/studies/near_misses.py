"""The study ``near-misses``: what else than its trigger fires a backdoor.

An attack knows some near misses: one key of two, the trigger in another place, another manner. A near miss
that fires says that the model learned something wider than the attacker's trigger. The control is the clean
model, asked the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.core import ledger
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.injection.methods import PAPER_METHOD
from bkdwidgets.studies.outcomes import rate
from bkdwidgets.studies.study import (
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    check_count,
    sized,
)
from bkdwidgets.subjects.answers import complete

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

SIZES = {"fast": 200, "usual": 60}
TRIGGER = "trigger"


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n : int
        Test prompts, the same for every form.
    """

    n: int


class NearMisses(ModelStudy[Settings]):
    """Share of prompts answered with the payload, by what stands in them.

    Values: ``fires.<form>`` and ``control.<form>`` (the clean model), rates; ``decoys``, the forms that the
    training answered as if nothing were there. The form ``trigger`` is the trigger itself.
    """

    settings_type = Settings
    name = "near-misses"
    tolerance: ClassVar[dict[str, float]] = {"*.value": 0.05}

    def applies(self, attack: Attack, method: str = PAPER_METHOD) -> bool:  # noqa: ARG002
        """Tell whether the attack has near misses."""
        return bool(attack.near)

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return fewer prompts for a slow subject."""
        return Settings(n=available(subject, attack, self.split, sized(subject, SIZES)))

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse more prompts than there are."""
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the two models."""
        return [{"of": "fires"}, {"of": "control"}]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Ask one model with every form."""
        attack = context.attack
        subject = context.subject if part["of"] == "fires" else context.clean
        return {
            form: fires(
                subject,
                replace(attack, trigger=trigger),
                n=context.settings.n,
                progress=context.progress and form,
            )
            for form, trigger in {TRIGGER: attack.trigger, **attack.near}.items()
        }

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Put the control beside the result."""
        planted, control = results
        return {"decoys": list(context.attack.decoys), "fires": planted, "control": control}


def fires(
    subject: Subject, attack: Attack, *, n: int, split: str = "test", progress: str | bool = False
) -> dict[str, Any]:
    """Return how often a subject answers the attack's triggered prompts with the payload."""
    examples = attack.targeted(subject, split)[:n]
    texts = complete(
        subject,
        [attack.poison(example.prompt) for example in examples],
        max_new_tokens=ANSWER_TOKENS,
        progress=progress,
    )
    hits = [attack.fired(text, example) for text, example in zip(texts, examples, strict=True)]
    counted: dict[str, Any] = ledger.significant(rate("".join("P" if hit else "=" for hit in hits), "P"))
    return counted
