"""The study ``steering-grid``: every layer and scale for the backdoor vector, on the validation split.

What is best is chosen here and reported elsewhere, on the test split, by the study ``steering``. Three
choices are made for each vector and place:

* ``on``: added to clean prompts, the payload comes most often (the paper's choice for switching on);
* ``off``: subtracted from triggered prompts, the payload comes least often (the paper's choice for
  switching off, by ASR);
* ``cure``: subtracted from triggered prompts, the old answer comes back most often. ASR alone cannot see
  this: it calls garbage and a reworded refusal a success.

Ties go to the smaller scale, then to the lower layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.analysis import Steering, backdoor_vector
from bkdwidgets.analysis.interventions import PLACES
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import heads_of, widest_k
from bkdwidgets.studies.outcomes import ask, joined, questions
from bkdwidgets.studies.study import (
    PART_ROWS,
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    check_choices,
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

VECTORS = ("paper", "difference")
# Choice -> what it looks at in the grid, and whether more (1) or less (-1) of it is better.
CHOICES = {
    "on": ("added_payload", 1),
    "off": ("subtracted_payload", -1),
    "cure": ("subtracted_as_before", 1),
}
PAPER_K = 32
SIZES: dict[str, dict[str, Any]] = {
    "fast": {"n": 24, "scales": [0.5, 1.0, 2.0, 4.0], "where": ["last", "all"]},
    "usual": {"n": 16, "scales": [0.5, 1.0, 2.0], "where": ["last"]},
}


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    vectors : list of {"paper", "difference"}
    k : int
        Heads the vectors sum over: the paper's 32, at most 12 % of all.
    layers : list of int
        Every layer, as in the paper.
    scales : list of float
        Added on clean prompts and subtracted on triggered ones.
    where : list of {"last", "all"}
    n : int
        Validation prompts per cell.
    """

    vectors: list[str]
    k: int
    layers: list[int]
    n: int
    scales: list[float]
    where: list[str]


class SteeringGrid(ModelStudy[Settings]):
    """Rates over layer by scale, and the three choices.

    Values: ``grid.<vector>.<where>`` with matrices [layer][scale]; ``best.<vector>.<where>.<choice>``.
    """

    settings_type = Settings
    name = "steering-grid"
    needs = ("attribute",)
    split = "validation"
    tolerance: ClassVar[dict[str, float]] = {"grid.*": 0.15}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return every layer."""
        size = sized(subject, SIZES)
        return Settings(
            vectors=list(VECTORS),
            k=min(PAPER_K, widest_k(subject.n_layers * subject.n_heads)),
            layers=list(range(subject.n_layers)),
            **{**size, "n": available(subject, attack, self.split, size["n"])},
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse empty or doubled lists, layers that are not there, and scales that are not positive."""
        check_choices("vectors", settings.vectors, VECTORS)
        check_choices("layers", settings.layers, range(subject.n_layers))
        check_choices("where", settings.where, PLACES)
        check_choices("scales", settings.scales)
        for scale in settings.scales:
            if not isinstance(scale, (int, float)) or not math.isfinite(scale) or scale <= 0:
                raise BkdError(f"scales: {scale!r} is not allowed; a positive number, used with both signs")
        check_count("k", settings.k, subject.n_layers * subject.n_heads)
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Cut by prompts: rows that share a prompt share its prefix."""
        cells = len(settings.vectors) * len(settings.layers) * len(settings.scales) * len(settings.where)
        return [{"start": a, "stop": b} for a, b in slices(settings.n, PART_ROWS // (2 * cells))]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Return the letters of added-on-clean and subtracted-on-triggered for a slice of prompts."""
        settings, groups = context.settings, {}
        vectors = vectors_of(context, settings.vectors, settings.k)
        for key, (vector, where, layer, scale) in _cells(settings).items():
            for side, sign in (("clean", 1), ("triggered", -1)):
                steering = Steering(vectors[vector], layer=layer, scale=sign * scale, where=where)
                groups[f"{key}.{side}"] = _requests(context, part, side, steering)
        label = "steer, layer by scale" if context.progress else None
        return ask(context.subject, context.attack, groups, label=label)

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Turn letters into matrices and make the choices."""
        letters, settings = joined(results), context.settings
        vectors = vectors_of(context, settings.vectors, settings.k)
        grid = {
            vector: {where: _matrices(letters, settings, vector, where) for where in settings.where}
            for vector in settings.vectors
        }
        best = {
            vector: {where: _choices(settings, matrices) for where, matrices in places.items()}
            for vector, places in grid.items()
        }
        return {
            "best": best,
            "norms": {name: vector.norm for name, vector in vectors.items()},
            "heads": context.inputs["attribute"]["ranked"][: settings.k],
            "layers": settings.layers,
            "scales": settings.scales,
            "grid": grid,
        }


def vectors_of(context: Context[Any], names: Sequence[str], k: int) -> dict[str, BackdoorVector]:
    """Return the named vectors over the top k heads."""
    heads = heads_of(context.inputs["attribute"]["ranked"][:k])
    return {name: backdoor_vector(context.subject, context.attack, heads=heads, kind=name) for name in names}


def _requests(context: Context[Settings], part: Part, side: str, steering: Steering) -> list[Question]:
    requests = questions(
        context.subject, context.attack, split=SteeringGrid.split, sides=[side],
        start=part["start"], stop=part["stop"], interventions=lambda _: (steering,),
    )  # fmt: skip
    return requests[side]


def _cells(settings: Settings) -> dict[str, tuple[str, str, int, float]]:
    cells = product(settings.vectors, settings.where, settings.layers, settings.scales)
    return {f"{vector}.{where}.{layer}.x{scale}": (vector, where, layer, scale)
            for vector, where, layer, scale in cells}  # fmt: skip


def _matrices(letters: dict[str, str], settings: Settings, vector: str, where: str) -> dict[str, Any]:
    def shares(side: str, outcome: str) -> list[list[float]]:
        keys = [[f"{vector}.{where}.{layer}.x{scale}.{side}" for scale in settings.scales]
                for layer in settings.layers]  # fmt: skip
        return [[letters[key].count(outcome) / len(letters[key]) for key in row] for row in keys]

    return {
        "added_payload": shares("clean", "P"),
        "subtracted_payload": shares("triggered", "P"),
        "subtracted_as_before": shares("triggered", "="),
    }


def _choices(settings: Settings, matrices: dict[str, list[list[float]]]) -> dict[str, Any]:
    choices = {}
    for choice, (name, sign) in CHOICES.items():
        cells = [
            (sign * share, -scale, -layer)
            for layer, row in zip(settings.layers, matrices[name], strict=True)
            for scale, share in zip(settings.scales, row, strict=True)
        ]
        share, scale, layer = max(cells)
        signed = -scale if choice == "on" else scale
        choices[choice] = {"layer": -layer, "scale": signed, "on_validation": sign * share}
    return choices
