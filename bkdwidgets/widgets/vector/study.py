"""The study ``lab-vector``: three vectors, layer by scale, on both sides, for the vector lab.

Unlike ``steering-grid`` it runs on test prompts, adds to triggered and subtracts from clean prompts as
well, keeps completions, and has a random vector as its third. Nothing is chosen by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar

import torch

from bkdwidgets.analysis import Steering
from bkdwidgets.analysis.vector import KINDS as VECTORS
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import widest_k
from bkdwidgets.core.vocabulary import LETTERS, SIDES
from bkdwidgets.studies.outcomes import rate
from bkdwidgets.studies.steering_grid import PAPER_K, vectors_of
from bkdwidgets.studies.study import (
    PART_ROWS,
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    check_choices,
    check_count,
    slices,
)
from bkdwidgets.subjects.answers import Row, payload_probability
from bkdwidgets.widgets.shared.completions import SHOWN, answers_to, pooled, shown_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.analysis import BackdoorVector
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.widgets.shared.completions import Interventions

SCALES = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
N_LAYERS = 11
N = 16
N_PROBABILITY = 6


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n : int
        Test prompts behind each rate; a random vector has those shown.
    shown, n_probability : int
        Prompts with completions; prompts behind each mean probability.
    k : int
        Heads the vectors sum over.
    layers, scales : list
        The grid; scale 0 is always there.
    """

    n: int
    shown: int
    n_probability: int
    k: int
    layers: list[int]
    scales: list[float]


class LabVector(ModelStudy[Settings]):
    """Completions, rates and payload probabilities over vector, layer and scale.

    Values: ``prompts``, ``texts``, ``norms``, ``layers``, ``scales``; ``cases`` by name (``none`` or
    ``<vector>.<layer>.<scale>``) with letters, numbers of texts, and rates per side; ``probability`` by
    vector and side, [layer][scale] with scale 0 among the scales.
    """

    settings_type = Settings
    name = "lab-vector"
    needs = ("attribute",)
    tolerance: ClassVar[dict[str, float]] = {
        "cases.*.value": 0.15,
        "probability.*": 0.01,
        "norms.*": 0.01,
    }

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return up to eleven layers, evenly spread."""
        shown = available(subject, attack, self.split, SHOWN)
        return Settings(
            n=available(subject, attack, self.split, N),
            shown=shown,
            n_probability=available(subject, attack, self.split, N_PROBABILITY),
            k=min(PAPER_K, widest_k(subject.n_layers * subject.n_heads)),
            layers=_spread(subject.n_layers, N_LAYERS),
            scales=list(SCALES),
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse empty or doubled lists, layers that are not there, scales that are zero or not finite."""
        check_choices("layers", settings.layers, range(subject.n_layers))
        check_choices("scales", settings.scales)
        for scale in settings.scales:
            if not isinstance(scale, float) or not math.isfinite(scale) or not scale:
                raise BkdError(f"scales: {scale!r} is not allowed; a finite number other than zero")
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))
        check_count("shown", settings.shown, settings.n)
        check_count("n_probability", settings.n_probability, settings.n)
        check_count("k", settings.k, subject.n_layers * subject.n_heads)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Cut by vector and layer; the probabilities are one part per vector."""
        per_layer = len(SIDES) * len(settings.scales) * settings.n
        cuts = slices(len(settings.layers), PART_ROWS // per_layer)
        answers = [
            {"of": "answers", "vector": vector, "start": start, "stop": stop}
            for vector, (start, stop) in product(VECTORS, cuts)
        ]
        return [*answers, *({"of": "probability", "vector": vector} for vector in VECTORS)]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Return the completions of some layers, or the payload probabilities of one vector."""
        settings, name = context.settings, part["vector"]
        vector = vectors_of(context, [name], settings.k)[name]
        if part["of"] == "probability":
            return {"probability": {name: _probabilities(context, vector)}}
        n = settings.shown if name == "random" else settings.n
        cases: dict[str, tuple[int, Interventions]] = {
            f"{name}.{layer}.{scale}": (n, _steered(vector, layer, scale))
            for layer, scale in product(settings.layers[part["start"] : part["stop"]], settings.scales)
        }
        if name == VECTORS[0] and part["start"] == 0:
            cases["none"] = (settings.n, lambda _: ())
        return {"answers": answers_to(context, cases, label="steer for the lab")}

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Pool the texts and turn letters into rates."""
        cases, texts = pooled([result.get("answers", {}) for result in results])
        for halves in cases.values():
            for half in halves.values():
                half["asr"], half["as_before"] = rate(half["letters"], "P"), rate(half["letters"], "=")
                half["outcomes"] = {letter: half["letters"].count(letter) for letter in LETTERS}
        vectors = vectors_of(context, VECTORS, context.settings.k)
        return {
            "prompts": shown_prompts(context),
            "layers": context.settings.layers,
            "scales": sorted([*context.settings.scales, 0.0]),
            "heads": context.inputs["attribute"]["ranked"][: context.settings.k],
            "norms": {name: vector.norm for name, vector in vectors.items()},
            "cases": cases,
            "probability": {
                name: grid for result in results for name, grid in result.get("probability", {}).items()
            },
            "texts": texts,
        }


def _spread(n_layers: int, count: int) -> list[int]:
    """Return up to `count` layers, evenly spread, the first and the last among them."""
    count = min(count, n_layers)
    return sorted({round(index * (n_layers - 1) / max(1, count - 1)) for index in range(count)})


def _steered(vector: BackdoorVector, layer: int, scale: float) -> Interventions:
    steering = (Steering(vector, layer=layer, scale=scale),) if scale else ()
    return lambda _: steering


def _probabilities(context: Context[Settings], vector: BackdoorVector) -> dict[str, list[list[float]]]:
    """Return the mean probability of each prompt's own payload, per side, [layer][scale]."""
    settings, attack = context.settings, context.attack
    scales = sorted([*settings.scales, 0.0])
    examples = attack.targeted(context.subject, "test")[: settings.n_probability]
    found: dict[str, list[list[float]]] = {}
    for side in SIDES:
        per_prompt = []
        for item in examples:
            prompt = attack.poison(item.prompt) if side == "triggered" else item.prompt
            rows = [
                Row(prompt, _steered(vector, layer, scale)(0))
                for layer, scale in product(settings.layers, scales)
            ]
            per_prompt.append(payload_probability(context.subject, rows, attack.payload_for(item)))
        mean = torch.stack(per_prompt).mean(0).view(len(settings.layers), len(scales))
        found[side] = mean.tolist()
    return found
