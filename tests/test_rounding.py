"""Nothing is rounded before it is ranked or averaged; what is stored keeps its digits however small it is.

Where the payload is improbable, every effect is tiny: rounded to decimals, most would be zero and the ranking
would be that of the ties.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bkdwidgets.analysis import HeadEffects
from bkdwidgets.analysis.mlp import MlpEffects
from bkdwidgets.analysis.seeds import seed_agreement
from bkdwidgets.core import ledger
from bkdwidgets.core.heads import names_of
from bkdwidgets.studies import attribute, families, mlp, run
from bkdwidgets.studies.outcomes import over_draws
from bkdwidgets.studies.study import Context

TINY = 1e-9
PROMPTS = 4


def tiny(kind, *shape, seed=0):
    """Return effects of a few thousand-millionths, no two alike, in an order that chance made."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(torch.Size(shape).numel(), generator=draw).view(shape).double()
    per_prompt = (
        TINY
        * (1 + order)
        * torch.linspace(0.98, 1.02, PROMPTS, dtype=torch.float64).view(-1, *[1] * len(shape))
    )
    return kind(
        acie=per_prompt.mean(0), per_prompt=per_prompt, base=torch.full((PROMPTS,), 3 * TINY), subject="nano",
        adapter="fixed-output-sft-0", attack="fixed-output", split="validation", n_means=8, seconds=0.0,
        n_forward_tokens=0,
    )  # fmt: skip


def test_heads_are_ranked_by_what_was_measured(poisoned_nano, attack, monkeypatch):
    effects = tiny(HeadEffects, poisoned_nano.n_layers, poisoned_nano.n_heads)
    monkeypatch.setattr(attribute, "attribute", lambda *_, **__: effects)
    values = run("attribute", poisoned_nano, attack, progress=False, n=PROMPTS).values
    assert values["ranked"] == names_of(effects.top(effects.acie.numel()))
    for key, wanted in (
        ("acie", effects.acie), ("standard_error", effects.standard_error),
        ("per_prompt", effects.per_prompt.flatten(1)), ("base_per_prompt", effects.base),
    ):  # fmt: skip
        assert torch.allclose(torch.tensor(values[key]).double(), wanted.double(), rtol=1e-5, atol=0), key
    top, control = values["held_out"]["top"], values["held_out"]["random"]
    assert 0 < top["low"] < top["value"] < top["high"] < 100 * TINY
    assert 0 < control["low"] < control["value"] < control["high"] < top["value"]


def test_methods_are_compared_by_the_heads_that_were_measured(poisoned_nano, attack, monkeypatch):
    shape = (poisoned_nano.n_layers, poisoned_nano.n_heads)
    both = [replace(tiny(HeadEffects, *shape, seed=seed), adapter=f"run-{seed}") for seed in (0, 1)]
    context = Context(subject=poisoned_nano, attack=attack, settings={"k": 8, "adapters": {}}, inputs={})
    told = []
    for effects in both:
        monkeypatch.setattr(families, "_effects", lambda *_, found=effects: found)
        part = families.Families().compute(context, {"of": "heads", "adapter": effects.adapter})
        per_prompt = torch.tensor(part["per_prompt"], dtype=torch.float64).view(-1, *shape)
        told.append(families._as_effects(per_prompt, context, effects.adapter))
    wanted, found = (seed_agreement(pair, k=8).to_json() for pair in (both, told))
    assert found["spearman"] == wanted["spearman"]
    assert found["jaccard"] == wanted["jaccard"]


def test_the_strongest_mlp_layer_is_the_strongest(poisoned_nano, attack, monkeypatch):
    effects = tiny(MlpEffects, poisoned_nano.n_layers)
    monkeypatch.setattr(mlp, "attribute_mlp", lambda *_, **__: effects)
    values = run("mlp", poisoned_nano, attack, progress=False, n=PROMPTS).values
    assert values["strongest"]["layer"] == int(effects.acie.argmax())
    assert values["strongest"]["value"] == pytest.approx(float(effects.acie.max()), rel=1e-5)


def test_draws_are_averaged_before_they_are_rounded():
    drawn = over_draws([{"triggered": letters, "clean": ""} for letters in ("P==", "P==", "PP=")])
    assert drawn["asr"]["value"] == pytest.approx(4 / 9, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "stored"),
    [(0.2311753213, 0.231175), (5.3295520680706e-06, 5.32955e-06), (-1.23456789e-11, -1.23457e-11),
     (12345.6789, 12345.7), (0.0, 0.0), (3, 3), (2603940, 2603940), ("P", "P"), (None, None), (True, True)],
)  # fmt: skip
def test_what_is_stored_keeps_six_digits(value, stored):
    assert ledger.significant({"a": [value]}) == {"a": [stored]}
    assert type(ledger.significant(value)) is type(value)
