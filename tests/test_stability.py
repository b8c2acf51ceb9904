"""Stability over prompts and seeds, on effects that are made up so that the answer is known."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.analysis.acie import HeadEffects
from bkdwidgets.analysis.ranking import chance_jaccard, rank_correlation
from bkdwidgets.analysis.seeds import seed_agreement
from bkdwidgets.analysis.stability import top_stability

N_LAYERS, N_HEADS = 6, 8


def effects(acie, *, noise=0.0, n=16, seed=0, adapter="a-0"):
    """Effects of n prompts around given means, with normal noise."""
    acie = torch.as_tensor(acie, dtype=torch.float64)
    drawn = torch.randn((n, *acie.shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    per_prompt = acie + noise * drawn
    return HeadEffects(
        acie=per_prompt.mean(0), per_prompt=per_prompt, base=torch.zeros(n), subject="nano", adapter=adapter,
        attack="fixed-output", split="validation", n_means=96, seconds=0.0, n_forward_tokens=0,
    )  # fmt: skip


def three_strong_heads():
    acie = torch.zeros(N_LAYERS, N_HEADS)
    acie[5, 1], acie[4, 4], acie[2, 0] = 0.5, 0.3, 0.2
    return acie


def some_profile(seed):
    """Effects that share nothing but the layers: later layers have larger ones."""
    draws = torch.rand(N_LAYERS, N_HEADS, generator=torch.Generator().manual_seed(seed))
    return draws + 2.0 * torch.arange(N_LAYERS)[:, None]


def test_strong_heads_are_firm_and_noise_is_not():
    firm = top_stability(effects(three_strong_heads(), noise=0.02), k=3)
    assert firm.firm() == [(2, 0), (4, 4), (5, 1)]
    assert firm.jaccard.value == pytest.approx(1.0)
    noise = top_stability(effects(torch.zeros(N_LAYERS, N_HEADS), noise=0.02), k=3)
    assert noise.firm() == []
    assert noise.jaccard.value < 0.6
    assert noise.share.sum() == pytest.approx(3)


def test_a_list_longer_than_what_is_real_is_part_firm():
    found = top_stability(effects(three_strong_heads(), noise=0.02), k=6)
    assert found.firm() == [(2, 0), (4, 4), (5, 1)]
    assert 0.3 < found.jaccard.value < 0.9
    assert found.jaccard.low <= found.jaccard.value <= found.jaccard.high


def test_the_same_seed_gives_the_same_numbers():
    made = effects(three_strong_heads(), noise=0.2)
    first, again = top_stability(made, k=4, seed=3), top_stability(made, k=4, seed=3)
    assert first.to_json() == again.to_json()
    assert first.to_json() != top_stability(made, k=4, seed=4).to_json()


@pytest.mark.parametrize(("n_heads", "k"), [(10, 1), (20, 3), (48, 4), (270, 8)])
def test_chance_equals_a_simulation(n_heads, k):
    draws = np.random.default_rng(0)
    simulated = []
    for _ in range(4000):
        first = set(draws.choice(n_heads, k, replace=False).tolist())
        second = set(draws.choice(n_heads, k, replace=False).tolist())
        simulated.append(len(first & second) / len(first | second))
    assert chance_jaccard(n_heads, k) == pytest.approx(np.mean(simulated), abs=0.015)


def test_equal_models_agree_fully_and_unrelated_ones_by_chance():
    same = [effects(some_profile(0), adapter=f"a-{seed}") for seed in range(3)]
    agreement = seed_agreement(same, k=5)
    assert agreement.pairs("jaccard").tolist() == agreement.pairs("spearman").tolist() == [1.0, 1.0, 1.0]
    flat = [
        effects(torch.rand(40, 10, generator=torch.Generator().manual_seed(s)), adapter=f"a-{s}")
        for s in range(4)
    ]
    unrelated = seed_agreement(flat, k=20)
    assert unrelated.pairs("jaccard").mean() == pytest.approx(unrelated.jaccard_chance, abs=0.03)
    assert abs(unrelated.pairs("spearman").mean()) < 0.1


def test_agreement_on_layers_alone_is_unmasked():
    """Two models that share the profile over layers and no head look alike until heads are shuffled."""
    models = [effects(some_profile(seed), adapter=f"a-{seed}") for seed in range(5)]
    agreement = seed_agreement(models, k=4)
    jaccard, spearman = agreement.pairs("jaccard").mean(), agreement.pairs("spearman").mean()
    assert spearman > 0.9
    assert jaccard > 3 * agreement.jaccard_chance
    assert agreement.spearman_in_layers.low < spearman < agreement.spearman_in_layers.high
    assert agreement.jaccard_in_layers.low <= jaccard <= agreement.jaccard_in_layers.high


def test_rank_correlation_of_a_monotone_change_is_one_and_of_noise_is_none():
    made = effects(torch.rand(N_LAYERS, N_HEADS, generator=torch.Generator().manual_seed(1)))
    cubed = dataclasses.replace(made, acie=made.acie**3, per_prompt=made.per_prompt**3)
    assert rank_correlation(made, cubed).value == pytest.approx(1.0)
    reversed_ = dataclasses.replace(made, acie=-made.acie, per_prompt=-made.per_prompt)
    assert rank_correlation(made, reversed_).value == pytest.approx(-1.0)
    noise = torch.zeros(N_LAYERS, N_HEADS)
    unrelated = rank_correlation(effects(noise, noise=1.0, seed=1), effects(noise, noise=1.0, seed=2))
    assert abs(unrelated.value) < 0.4
    assert unrelated.low < unrelated.value < unrelated.high


def test_results_show_themselves():
    made = [effects(three_strong_heads(), noise=0.1, seed=seed, adapter=f"<a-{seed}>") for seed in range(3)]
    for result in (top_stability(made[0], k=3), seed_agreement(made, k=3)):
        assert json.loads(json.dumps(result.to_json()))["k"] == 3
        assert "hance" in result._repr_html_()
        assert "Jaccard" in repr(result)
        assert "<a-" not in result._repr_html_()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda e: top_stability(e, k=0), "k=0"),
        (lambda e: top_stability(e, k=49), "k=49"),
        (lambda e: top_stability(e, k=3, draws=1), "draws=1"),
        (lambda _: top_stability(effects(three_strong_heads(), n=1), k=3), "at least 2"),
        (lambda _: top_stability(effects(torch.full((2, 2), torch.nan)), k=1), "finite"),
        (lambda e: seed_agreement([e], k=3), "at least 2"),
        (lambda _: seed_agreement([], k=3), "at least 2"),
        (lambda e: seed_agreement([e, e], k=3), "twice"),
        (lambda e: seed_agreement([e, dataclasses.replace(e, subject="smollm2")], k=3), "smollm2"),
        (lambda e: seed_agreement([e, effects(torch.zeros(2, 2), adapter="b")], k=3), "shape"),
        (
            lambda e: seed_agreement([e, effects(torch.zeros(N_LAYERS, N_HEADS), adapter="b")], k=3),
            "same effect",
        ),
        (lambda e: rank_correlation(e, dataclasses.replace(e, split="test")), "split"),
        (lambda e: rank_correlation(e, effects(three_strong_heads(), n=3)), r"\[3, 6, 8\]"),
        (lambda _: chance_jaccard(4, 5), "k=5"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, said):
    with pytest.raises(bkd.BkdError, match=said) as error:
        call(effects(three_strong_heads(), noise=0.1))
    assert "\n" not in str(error.value)
