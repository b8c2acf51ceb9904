"""Probes: planted signals are found where they are, controls stay at chance, nothing leaks."""

from __future__ import annotations

import copy
import dataclasses
import json
import signal
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier

import bkdwidgets as bkd
from bkdwidgets import figures
from bkdwidgets.analysis import probe_fit
from bkdwidgets.analysis.probe import prompt_parts
from bkdwidgets.analysis.probe_controls import unrelated_prefix
from bkdwidgets.analysis.probe_result import LayerAccuracy
from bkdwidgets.analysis.residuals import residuals
from bkdwidgets.subjects import Subject

KINDS = probe_fit.KINDS


def planted_parts(first_layer, *, n_layers=5, d_model=16, seed=0):
    """Return noise for every layer; from `first_layer` on, the trigger shifts the states along one axis."""
    chance = np.random.default_rng(seed)

    def part(n_prompts):
        states = chance.normal(size=(n_layers, n_prompts, 2, d_model)).astype(np.float32)
        states[first_layer:, :, 1, 3] += 8.0
        return states

    return probe_fit.Parts(part(90), part(30), part(30))


@pytest.fixture(scope="module")
def results(nano, poisoned_nano, attack):
    """Both kinds of probe on the shipped nano backdoor; `other` is the same backdoor, to be recognized."""
    return {
        kind: bkd.probe(
            poisoned_nano,
            attack,
            kind=kind,
            n=150,
            control=nano,
            other=(poisoned_nano, attack),
            progress=False,
        )
        for kind in KINDS
    }


@pytest.mark.parametrize("place", ["_backprop", "_update_no_improvement_count"])
def test_an_interrupt_ends_the_training_of_a_probe(place, monkeypatch, interruptible):
    """scikit-learn swallows it; the second place is behind an epoch's last number, where nothing tells."""
    usual, calls = getattr(MLPClassifier, place), []

    def interrupted(self, *arguments):
        calls.append(place)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        return usual(self, *arguments)

    monkeypatch.setattr(MLPClassifier, place, interrupted)
    filters = list(warnings.filters)
    with pytest.raises(KeyboardInterrupt):
        probe_fit.fit_layers(planted_parts(2, n_layers=1), kind="mlp", seed=0)
    assert len(calls) == 5, "nothing ran after it"
    assert warnings.filters == filters


def test_residuals_are_the_hidden_states_and_do_not_depend_on_the_batch(poisoned_nano, attack):
    prompts = [example.prompt for example in attack.examples(poisoned_nano, "train")[:6]]
    prompts[0] = attack.poison(prompts[0])
    together = residuals(poisoned_nano, prompts, progress=False)
    assert together.shape == (6, poisoned_nano.n_layers + 1, poisoned_nano.d_model)
    hooks = [len(module._forward_pre_hooks) for module in poisoned_nano.model.modules()]
    assert sum(hooks) == 0
    decoder = copy.deepcopy(poisoned_nano.model.model)  # transformers leaves its own hooks on the reference
    for prompt, found in zip(prompts, together, strict=True):
        with torch.inference_mode():
            ids = torch.tensor([poisoned_nano.encode(prompt)])
            out = decoder(input_ids=ids, output_hidden_states=True)
            final = decoder.norm(found[-1])
        # transformers hands out the last state after the final norm; ours is the one before it.
        expected = torch.stack([state[0, -1] for state in out.hidden_states])
        assert torch.allclose(found[:-1], expected[:-1], atol=1e-4)
        assert torch.allclose(final, expected[-1], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_signal_is_found_at_its_layer_and_not_before(kind):
    parts = planted_parts(first_layer=2)
    probes = probe_fit.fit_layers(parts, kind=kind, seed=0)
    accuracy = probe_fit.score_layers(probes, parts.test).mean((1, 2))
    assert (accuracy[:2] < 0.7).all()
    assert (accuracy[2:] > 0.97).all()
    across = probe_fit.score_across_layers(probes, parts.test).mean((2, 3))
    assert (across[2:, 2:] > 0.97).all()  # the same direction in all of them
    assert (abs(across[2:, :2] - 0.5) < 0.2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_labels_give_chance_even_where_the_signal_is_plain(kind):
    parts = planted_parts(first_layer=0, n_layers=12)
    correct = probe_fit.score_shuffled(parts, kind=kind, seed=0)
    rates = LayerAccuracy(torch.from_numpy(correct)).rates
    assert sum(rate.low <= 0.5 <= rate.high for rate in rates) >= 10  # 95 % of 12 intervals
    assert correct.mean() == pytest.approx(0.5, abs=3 * 0.5 / correct.size**0.5)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_probe_and_another_seed_another():
    parts = planted_parts(first_layer=4)
    first, again, other = (
        probe_fit.score_layers(probe_fit.fit_layers(parts, kind="mlp", seed=seed), parts.test)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_paired_bootstrap_sees_a_difference_that_single_intervals_hide():
    chance = np.random.default_rng(0)
    hard = chance.random((1, 60, 1)) < 0.4  # prompts that both models fail on
    control = np.repeat(~hard, 2, axis=2)
    correct = control.copy()
    correct[0, np.flatnonzero(hard)[:8]] = True  # eight more, and none lost
    value, low, high = probe_fit.paired_difference(correct, control, seed=0)
    assert value[0] == pytest.approx(8 / 60)
    assert 0 < low[0] < value[0] < high[0]
    same = probe_fit.paired_difference(control, control, seed=0)
    assert [array.item() for array in same] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("seed", [0, 1])
def test_no_prompt_is_in_two_parts_and_the_test_part_is_held_out(nano, attack, seed):
    parts = prompt_parts(nano, attack, n=100, seed=seed)
    assert {name: len(part) for name, part in parts.items()} == {"train": 60, "validation": 20, "test": 20}
    everything = [prompt for part in parts.values() for prompt in part]
    assert len(set(everything)) == 100
    of_split = {
        split: {example.prompt for example in attack.examples(nano, split)}
        for split in ("train", "validation", "test")
    }
    assert set(parts["test"]) <= of_split["test"]
    assert set(parts["train"] + parts["validation"]) <= of_split["validation"]


def test_training_prompts_fill_up_the_parts_that_are_not_reported(nano):
    flip = bkd.attack("label-flip")
    parts = prompt_parts(nano, flip, n=100, seed=0)
    held_out = {example.prompt for example in flip.targeted(nano, "test")}
    assert set(parts["test"]) <= held_out
    assert not held_out & set(parts["train"] + parts["validation"])
    assert len(set(parts["train"] + parts["validation"])) == 80


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_nano_backdoor_is_more_than_its_words(results, kind):
    result = results[kind]
    accuracy, control = result.accuracy.value, result.control.value
    # Layer 0 is the embedding of the last token, which is the same in every chat turn.
    assert accuracy[0] == control[0] == 0.5
    assert (accuracy[4:] >= 0.95).all()
    # The clean model reads the trigger's words too, but far less reliably at the last prompt token.
    assert torch.allclose(result.difference, accuracy - control)
    assert (result.difference_low <= result.difference).all()
    assert (result.difference <= result.difference_high).all()
    assert (result.difference_low[4:] > 0.05).all()
    assert (result.unrelated.value[4:] <= 0.65).all()
    assert float(result.shuffled.value.mean()) == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_ilca_diagonal_is_the_accuracy_of_each_layer(results, kind):
    result = results[kind]
    assert result.ilca.shape == result.control_ilca.shape == (9, 9)
    assert torch.allclose(result.ilca.diagonal(), result.accuracy.value)
    assert torch.allclose(result.control_ilca.diagonal(), result.control.value)
    # The same backdoor on the same prompts is recognized exactly as before.
    assert torch.equal(result.other.correct, result.accuracy.correct)
    assert result.other_name == "nano + fixed-output-sft-0, fixed-output"


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_subject_is_its_own_control_and_ten_prompts_are_enough_to_run(nano, attack, kind):
    result = bkd.probe(nano, attack, kind=kind, n=10, progress=False)
    assert (result.n_train, result.n_validation, result.n_test) == (6, 2, 2)
    assert (result.difference == 0).all()
    assert result.adapter == "clean"
    assert result.other is None


@pytest.mark.slow
def test_results_say_what_they_are(results):
    result = results["svm"]
    described = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert (described["n_train"], described["n_validation"]) == (90, 30)
    assert described["accuracy"]["n"] == 2 * described["n_test"] == 60
    assert len(described["accuracy"]["low"]) == len(described["difference"]) == 9
    assert described["n_forward_tokens"] > 0
    assert "clean model" in repr(result)
    assert result._repr_html_().count("<tr>") == 1 + 9
    assert "<b>" not in dataclasses.replace(result, adapter="<b>", attack="<b>")._repr_html_()
    curve, heatmap = figures.probe_curve(result), figures.ilca_heatmap(result)
    assert [line.name for line in curve.data][:2] == ["fixed-output-sft-0", "clean model"]
    assert len(curve.data) == 6
    assert heatmap.data[0].z.shape == (9, 9)
    assert len(figures.probe_curve(replace(result, other=None)).data) == 5


def test_the_unrelated_prefix_is_as_long_as_the_trigger(nano, attack):
    for planted in (attack, bkd.attack("label-flip")):
        prompts = [example.prompt for example in planted.targeted(nano, "test")[:5]]
        prefix = unrelated_prefix(nano, planted, prompts)
        for prompt in prompts:
            longer = len(nano.encode(f"{prefix} {prompt}")) - len(nano.encode(planted.poison(prompt)))
            assert abs(longer) <= 4


def narrower(subject):
    """Return a subject that says it has one layer less."""

    class Narrower(Subject):
        n_layers = property(lambda _: subject.n_layers - 1)

    return Narrower(subject.name, subject.model, subject.tokenizer)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (lambda *_: {"kind": "forest"}, "forest"),
        (lambda *_: {"n": 9}, "n=9 is out of range; 10 to "),
        (lambda *_: {"n": 99_999}, "n=99999"),
        (lambda *_: {"seed": -1}, "seed=-1"),
        (lambda _, poisoned: {"control": poisoned}, "fixed-output-sft-0"),
        (lambda clean, _: {"control": replace(clean, name="smollm2")}, "smollm2"),
        (lambda clean, _: {"other": (narrower(clean), bkd.attack("fixed-output"))}, "layers of width"),
    ],
)
def test_bad_input_is_refused_in_one_line(nano, poisoned_nano, attack, options, said):
    with pytest.raises(bkd.BkdError, match=said) as error:
        bkd.probe(poisoned_nano, attack, **options(nano, poisoned_nano))
    assert "\n" not in str(error.value)
    with pytest.raises(bkd.BkdError, match="empty"):
        residuals(nano, [])
