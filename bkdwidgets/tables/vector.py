"""The vector lab's table: three vectors, layer by scale, completions and payload probability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.analysis import Steering, backdoor_vector
from bkdwidgets.subjects.answers import Row, payload_probability
from bkdwidgets.tables.cells import (
    SHOWN,
    Case,
    Cell,
    TextPool,
    outcome_counts,
    run_cases,
    share,
    shown_prompts,
    test_examples,
)

if TYPE_CHECKING:
    from torch import Tensor

    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.analysis.vector import BackdoorVector
    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject

K = 32
VECTORS = ("paper", "difference", "random")
SCALES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
N_LAYERS = 11
N_RATES = 16
N_PROBABILITY = 6


def vector_table(subject: Subject, attack: Attack, effects: HeadEffects) -> dict[str, Any]:
    """Compute the table of the vector lab (everything but the common head)."""
    heads = effects.top(min(K, subject.n_layers * subject.n_heads // 8))
    vectors = {kind: backdoor_vector(subject, attack, heads=heads, kind=kind) for kind in VECTORS}
    layers = _spread(subject.n_layers, N_LAYERS)
    pool = TextPool()
    return {
        "prompts": shown_prompts(subject, attack),
        "vectors": list(VECTORS),
        "norms": {kind: round(vector.norm, 4) for kind, vector in vectors.items()},
        "k": len(heads),
        "heads": [list(head) for head in heads],
        "layers": layers,
        "scales": list(SCALES),
        "cells": _cells(subject, attack, vectors, layers, pool),
        "probability": _probability(subject, attack, vectors, layers),
        "probability_n": N_PROBABILITY,
        "texts": pool.texts,
    }


def _spread(n_layers: int, count: int) -> list[int]:
    """Return up to `count` layers, evenly spread, the first and the last among them."""
    count = min(count, n_layers)
    return sorted({round(index * (n_layers - 1) / (count - 1)) for index in range(count)})


def _steered(vector: BackdoorVector, layer: int, scale: float) -> tuple[Steering, ...]:
    return (Steering(vector, layer=layer, scale=scale),) if scale else ()


def _cells(
    subject: Subject, attack: Attack, vectors: dict[str, BackdoorVector], layers: list[int], pool: TextPool
) -> list[dict[str, Any]]:
    settings = [(kind, layer, scale) for kind in VECTORS for layer in layers for scale in SCALES if scale]
    cases = [
        Case(_steered(vectors[kind], layer, scale), SHOWN if kind == "random" else N_RATES)
        for kind, layer, scale in settings
    ]
    *cells, untouched = run_cases(subject, attack, [*cases, Case((), N_RATES)], label="steer, layer by scale")
    # Scale zero is the same whatever the vector and the layer: computed once.
    settings += [(kind, layer, 0.0) for kind in VECTORS for layer in layers]
    cells += [untouched] * (len(settings) - len(cells))
    return [
        {
            "vector": kind,
            "layer": layer,
            "scale": scale,
            "clean": pool.refer(cell.clean),
            "triggered": pool.refer(cell.triggered),
            "rates": _rates(cell),
        }
        for (kind, layer, scale), cell in zip(settings, cells, strict=True)
    ]


def _rates(cell: Cell) -> dict[str, Any]:
    counts = outcome_counts(cell)
    return {
        "asr_clean": share(cell.clean, "P"),
        "asr_triggered": share(cell.triggered, "P"),
        "as_before_clean": share(cell.clean, "="),
        "as_before_triggered": share(cell.triggered, "="),
        "outcomes_clean": counts["outcomes_clean"],
        "outcomes_triggered": counts["outcomes"],
    }


def _probability(
    subject: Subject, attack: Attack, vectors: dict[str, BackdoorVector], layers: list[int]
) -> dict[str, Any]:
    """Mean payload probability, per vector and side, layer by scale."""
    examples = test_examples(subject, attack)[:N_PROBABILITY]
    settings = [
        (kind, triggered, layer, scale)
        for kind in VECTORS
        for triggered in (False, True)
        for layer in layers
        for scale in SCALES
    ]
    values = torch.stack([_of_payload(subject, attack, item, vectors, settings) for item in examples])
    means = values.mean(0).view(len(VECTORS), 2, len(layers), len(SCALES))
    return {
        kind: {side: [[round(value, 5) for value in row] for row in means[i, j].tolist()]
               for j, side in enumerate(("clean", "triggered"))}
        for i, kind in enumerate(VECTORS)
    }  # fmt: skip


def _of_payload(
    subject: Subject,
    attack: Attack,
    example: Example,
    vectors: dict[str, BackdoorVector],
    settings: list[tuple[str, bool, int, float]],
) -> Tensor:
    """Return the probability of an example's payload in every setting, shape [setting]."""
    rows = [
        Row(attack.poison(example.prompt) if triggered else example.prompt,
            _steered(vectors[kind], layer, scale))
        for kind, triggered, layer, scale in settings
    ]  # fmt: skip
    return payload_probability(subject, rows, attack.payload_for(example), progress="payload probability")
