"""The study ``steering``: the chosen layers and scales on the test split, beside random vectors.

The choices come from ``steering-grid``, so no test prompt had a say in them. Each is measured on both
sides: what subtracting does to triggered prompts, and what it costs on clean ones. The control is a
random direction of the same length at the same place (arXiv 2509.21761, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.analysis import interventions
from bkdwidgets.analysis.vector import random_like
from bkdwidgets.studies.outcomes import (
    SIDES,
    ask,
    cell,
    joined,
    keyed,
    over_draws,
    prompts_of_draw,
    questions,
    sides_of,
)
from bkdwidgets.studies.steering_grid import CHOICES, vectors_of
from bkdwidgets.studies.study import (
    PART_ROWS,
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    check_count,
    sized,
    slices,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.analysis import BackdoorVector
    from bkdwidgets.attacks import Attack
    from bkdwidgets.studies.outcomes import Question
    from bkdwidgets.subjects import Subject

DRAWS = 20
SIZES = {"fast": (200, 10), "usual": (100, 4)}


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n : int
        Test prompts per steering.
    draws, random_n : int
        Random directions per steering, and test prompts for each; every draw gets the next prompts.
    """

    n: int
    draws: int
    random_n: int


class Steering(ModelStudy[Settings]):
    """Rates of the chosen steerings and of the random control.

    Values: ``none``, ``<vector>.<where>.<choice>`` and ``random.<vector>.<where>.<choice>``; beside each
    the layer and the scale.
    """

    settings_type = Settings
    name = "steering"
    needs = ("attribute", "steering-grid")
    tolerance: ClassVar[dict[str, float]] = {
        "random.*.per_draw.*": 0.3,
        "*.layer": 0,
        "*.scale": 0,
        "*.value": 0.03,
    }

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return 20 draws."""
        n, random_n = sized(subject, SIZES)
        n = available(subject, attack, self.split, n)
        return Settings(n=n, draws=DRAWS, random_n=min(random_n, n))

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse counts out of range."""
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))
        check_count("draws", settings.draws, 10_000, least=2)
        check_count("random_n", settings.random_n, settings.n)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Cut by prompts and by draws."""
        per_prompt = len(SIDES) * 2 * len(CHOICES)
        top = slices(settings.n, PART_ROWS // per_prompt)
        draws = slices(settings.draws, PART_ROWS // (per_prompt * settings.random_n))
        return [
            *({"of": "chosen", "start": start, "stop": stop} for start, stop in top),
            *({"of": "random", "start": start, "stop": stop} for start, stop in draws),
        ]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Return the letters of a slice of prompts, or of some random directions."""
        groups: dict[str, list[Question]] = {}
        if part["of"] == "chosen":
            groups |= _requests(context, "none", part["start"], part["stop"], ())
        for key, (vector, where, chosen) in _steerings(context).items():
            place = {"layer": chosen["layer"], "scale": chosen["scale"], "where": where}
            if part["of"] == "chosen":
                steering = interventions.Steering(vector, **place)
                groups |= _requests(context, key, part["start"], part["stop"], (steering,))
                continue
            for draw in range(part["start"], part["stop"]):
                first, last = prompts_of_draw(draw, context.settings.random_n, context.settings.n)
                steering = interventions.Steering(random_like(vector, seed=draw), **place)
                groups |= _requests(context, f"{key}.{draw}", first, last, (steering,))
        label = f"steer, {part['of']}" if context.progress else None
        return ask(context.subject, context.attack, groups, label=label)

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Turn letters into rates, the control below the result."""
        letters = joined(results)
        values: Values = {"none": cell(**sides_of(letters, "none")), "random": {}}
        for key, (_, _, chosen) in _steerings(context).items():
            draws = [sides_of(letters, f"{key}.{draw}") for draw in range(context.settings.draws)]
            place = {"layer": chosen["layer"], "scale": chosen["scale"]}
            _put(values, key, {**place, **cell(**sides_of(letters, key))})
            _put(values["random"], key, {**place, **over_draws(draws)})
        return values


def _steerings(context: Context[Settings]) -> dict[str, tuple[BackdoorVector, str, dict[str, Any]]]:
    """Return vector, place and choice of every steering by its address."""
    grid = context.inputs["steering-grid"]
    vectors = vectors_of(context, list(grid["best"]), len(grid["heads"]))
    return {
        f"{name}.{where}.{choice}": (vectors[name], where, grid["best"][name][where][choice])
        for name, places in grid["best"].items()
        for where, choice in product(places, CHOICES)
    }


def _requests(
    context: Context[Settings], key: str, start: int, stop: int, done: tuple[interventions.Steering, ...]
) -> dict[str, list[Question]]:
    return keyed(
        key,
        questions(
            context.subject, context.attack, split=Steering.split, start=start, stop=stop,
            interventions=lambda _: done,
        ),
    )  # fmt: skip


def _put(values: Values, address: str, item: Values) -> None:
    *path, last = address.split(".")
    for key in path:
        values = values.setdefault(key, {})
    values[last] = item
