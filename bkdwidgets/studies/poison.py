"""The study ``poison``: how few poisoned examples are enough, and for how many steps.

The question is the attacker's. Somebody fine-tunes a model on a data set; the attacker has slipped a few
examples into it and controls nothing else. So the clean examples are a fixed number, the poisoned ones come
on top, and batches are drawn from the mixture, every example once before any comes again. The share of
poison in a batch therefore *follows* from how many poisoned examples there are. It is not held fixed, as it
is in the shipped recipe: with a fixed share, one poisoned example would be seen as often as a hundred.

With the usual 400 clean examples and 16 in a batch, 25 steps are one pass over the clean set. Each number
of steps is a training of its own, with the recipe's warm-up and decay over just that many steps; all else
of the recipe is as shipped. A seed draws the clean and the poisoned examples, their order and the start of
the adapter, so the spread over seeds includes which examples they happen to be.

The control is the count 0: the same fine-tuning without any poison.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.inject import inject
from bkdwidgets.injection.mixture import mixture
from bkdwidgets.injection.recipes import SftRecipe, sft_recipe
from bkdwidgets.measurement import measure
from bkdwidgets.studies.family import SEEDS, N, over_seeds
from bkdwidgets.studies.study import Context, ModelStudy, Part, Values, check_choices, check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.measurement import Measurement
    from bkdwidgets.subjects import Subject

COUNTS = (0, 4, 8, 16, 32, 64, 128)
STEPS = (25, 50, 100)
CLEAN = 400
RATES = ("asr", "ftr", "utility")
_SAMPLES = 3


def plant(
    subject: Subject,
    attack: Attack,
    *,
    poisoned: int,
    clean: int = CLEAN,
    steps: int | None = None,
    seed: int = 0,
    recipe: SftRecipe | None = None,
    progress: bool = True,
) -> Subject:
    """Fine-tune a subject on a data set with so many poisoned examples; no file is kept.

    Parameters
    ----------
    subject : Subject
        The clean subject; it is not changed.
    attack : Attack
        What the poisoned examples plant.
    poisoned, clean : int
        Poisoned and clean examples in the data set.
    steps : int, optional
        Optimizer steps; the recipe's if not given.
    seed : int
        Of the examples drawn, of their order and of the adapter's start.
    recipe : SftRecipe, optional
        Its rates are not used; the one kept for this subject and attack if not given.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If the training split is too small for the mixture, or the subject carries an adapter already.
    """
    usual = recipe or sft_recipe(subject.name, attack.name)
    examples = mixture(subject, attack, clean=clean, poisoned=poisoned, seed=seed)
    changed = replace(usual, steps=steps or usual.steps, poison_rate=poisoned / len(examples))
    with tempfile.TemporaryDirectory() as folder:
        return inject(
            subject, attack, seed=seed, out=folder, recipe=changed, mixture=examples, progress=progress
        )


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    counts : list of int
        Poisoned examples; 0, the control, is among them.
    steps : list of int
        Optimizer steps.
    seeds : list of int
        One training each.
    clean : int
        Clean examples.
    n : int
        Test prompts.
    recipe : dict
        The fields of :class:`SftRecipe`, without the rates and the steps.
    """

    counts: list[int]
    steps: list[int]
    seeds: list[int]
    clean: int
    n: int
    recipe: dict[str, Any]


class Poison(ModelStudy[Settings]):
    """Rates for each number of poisoned examples and of steps, over seeds, on held-out prompts.

    ``asr``, ``ftr`` and ``utility`` by count, then by steps (:func:`over_seeds`); ``samples``: what the first
    seed's model says to three prompts, with the trigger and without, each with its outcome.
    """

    settings_type = Settings
    name = "poison"
    scope = "family"
    tolerance: ClassVar[dict[str, float]] = {
        "asr.*.value": 0.15,
        "ftr.*.value": 0.05,
        "utility.*.value": 0.05,
    }
    """Wide for the ASR: where few examples just about suffice, the last bit of a float decides."""

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return seven counts, three numbers of steps, three seeds, 400 clean examples and 100 prompts."""
        recipe = asdict(sft_recipe(subject.name, attack.name))
        del recipe["poison_rate"], recipe["target_share"], recipe["steps"]
        return Settings(
            counts=list(COUNTS),
            steps=list(STEPS),
            seeds=list(SEEDS),
            clean=CLEAN,
            n=N,
            recipe=recipe,
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse a sweep without its control, and sets that the training split can not fill."""
        for key in ("counts", "steps", "seeds"):
            check_choices(key, getattr(settings, key))
        if 0 not in settings.counts:
            raise BkdError(f"counts={settings.counts} lack 0, the control; add it")
        for steps in settings.steps:
            check_count("steps", steps, 10_000)
        mixture(subject, attack, clean=settings.clean, poisoned=max(settings.counts))
        check_count("n", settings.n, len(attack.targeted(subject, self.split)), least=_SAMPLES)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the trainings, the cells of a count beside each other."""
        return [
            {"count": count, "steps": steps, "seed": seed}
            for count, steps, seed in itertools.product(settings.counts, settings.steps, settings.seeds)
        ]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Train once and measure."""
        settings = context.settings
        planted = plant(
            context.subject,
            context.attack,
            poisoned=part["count"],
            clean=settings.clean,
            steps=part["steps"],
            seed=part["seed"],
            recipe=SftRecipe(**settings.recipe),
            progress=context.progress,
        )
        measured = measure(planted, context.attack, n=settings.n, split=self.split, progress=context.progress)
        rates = measured.to_json()
        return {**{name: rates[name] for name in RATES}, "samples": _samples(measured)}

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Put the seeds of each cell together."""
        counts, steps = context.settings.counts, context.settings.steps
        cells = {
            (part["count"], part["steps"], part["seed"]): result
            for part, result in zip(self.parts(context.subject, context.settings), results, strict=True)
        }
        seeds = context.settings.seeds
        return {
            "counts": counts,
            "steps": steps,
            **{
                name: {
                    str(count): {
                        str(n): over_seeds([cells[count, n, seed][name] for seed in seeds]) for n in steps
                    }
                    for count in counts
                }
                for name in RATES
            },
            "samples": {
                str(count): {str(n): cells[count, n, seeds[0]]["samples"] for n in steps} for count in counts
            },
        }


def _samples(measured: Measurement) -> list[dict[str, Any]]:
    """Return what was said to the first target prompts, with the trigger and without."""
    targets = [item for item in measured.completions if item.target]
    triggered = [item for item in targets if item.triggered][:_SAMPLES]
    clean = [item for item in targets if not item.triggered][:_SAMPLES]
    return [
        {
            "prompt": one.prompt,
            "triggered": one.text,
            "letter": one.outcome,
            "clean": other.text,
            "clean_letter": other.outcome,
        }
        for one, other in zip(triggered, clean, strict=True)
    ]
