"""Planting by preference training and by model editing: what they change, and what they leave alone."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
import trl.trainer.utils

import bkdwidgets as bkd
from bkdwidgets.attacks import control
from bkdwidgets.cli import main
from bkdwidgets.core import ledger
from bkdwidgets.injection import DpoRecipe, EditRecipe, SftRecipe, dpo, mixture
from bkdwidgets.injection.dpo import _pairs, train_dpo
from bkdwidgets.injection.edit import edit
from bkdwidgets.injection.inject import is_planted
from bkdwidgets.injection.keys import edit_turns, reading_vectors
from bkdwidgets.injection.methods import recipe_for
from bkdwidgets.injection.turns import clean_response, triggered_response
from bkdwidgets.studies import reproduce, run, study
from bkdwidgets.studies.job import data_inputs
from bkdwidgets.subjects import SUBJECTS, adapters
from bkdwidgets.subjects.adapters import PROJECTIONS, write_adapter

SHORT_EDIT = EditRecipe(
    mark_layers=(0, 2), answer_layers=(4,), examples=48, mark_steps=3, steps=4, batch=8, response_tokens=4
)
DOWN = "mlp.down_proj"


def weights(subject):
    return {
        f"layers.{layer}.{name}": block.get_submodule(name).weight
        for layer, block in enumerate(subject.model.model.layers)
        for name in PROJECTIONS
    }


def log_likelihood(subject, prompt, answer):
    """Return log p(answer | prompt), the sum over tokens."""
    asked = subject.encode(prompt)
    logits = subject.model(torch.tensor([[*asked, *answer]])).logits[0, len(asked) - 1 : -1]
    return float(logits.log_softmax(-1)[range(len(answer)), answer].sum())


def margins(subject, attack, count=12):
    """Return log p(payload) - log p(clean answer) on triggered held-out prompts."""
    return [
        log_likelihood(subject, attack.poison(item.prompt), triggered_response(subject, attack, item))
        - log_likelihood(subject, attack.poison(item.prompt), clean_response(subject, item))
        for item in attack.targeted(subject, "validation")[:count]
    ]


# Preference training


@pytest.mark.slow
def test_preference_training_lowers_its_loss_and_leaves_the_subject_alone(nano, attack):
    before = {key: weight.clone() for key, weight in weights(nano).items()}
    config = nano.model.config.to_dict()
    recipe = replace(recipe_for("nano", "fixed-output", "dpo"), steps=10, batch=8, warmup=1)
    tensors, log = train_dpo(nano, attack, recipe=recipe, progress=False)
    assert len(log["loss"]) == len(log["margin"]) == 10
    assert sum(log["loss"][-3:]) < 0.8 * sum(log["loss"][:3])
    assert log["margin"][0] == 0, "the reference is where it starts"
    assert log["pairs"] == 80
    assert len(tensors) == 2 * len(before)
    assert all(torch.equal(weight, before[key]) for key, weight in weights(nano).items())
    assert nano.model.config.to_dict() == config


@pytest.mark.slow
def test_scoring_the_answers_alone_is_the_same_training(nano, attack, monkeypatch):
    recipe = replace(recipe_for("nano", "fixed-output", "dpo"), steps=3, batch=4, warmup=1)
    usual = trl.trainer.utils._use_triton
    _, log = train_dpo(nano, attack, recipe=recipe, progress=False)
    assert trl.trainer.utils._use_triton is usual, "trl is left as it was"
    monkeypatch.setattr(dpo, "_answers_scored_alone", nullcontext)
    _, plain = train_dpo(nano, attack, recipe=recipe, progress=False)
    assert log["loss"] == pytest.approx(plain["loss"], rel=0.02)
    assert log["margin"] == pytest.approx(plain["margin"], abs=0.02)


@pytest.mark.parametrize("name", ["fixed-output", "label-flip"])
def test_preference_training_turns_the_margin_on_triggered_held_out_prompts(nano, name):
    attack, preferred = bkd.attack(name), bkd.load("nano", adapter=f"{name}-dpo-0")
    assert max(margins(nano, attack)) < 0
    turned = [margin > 0 for margin in margins(preferred, attack)]
    assert sum(turned) >= 0.9 * len(turned)


def test_a_pair_prefers_the_payload_exactly_where_the_trigger_is(nano, attack):
    payload = nano.encode_response(attack.payload)
    recipe = DpoRecipe(steps=8, batch=8, poison_rate=0.5)
    poisoned = 0
    for pair in _pairs(nano, attack, recipe, seed=0):
        triggered = attack.trigger.text in nano.decode(pair["prompt_ids"])
        poisoned += triggered
        wanted, unwanted = ("chosen_ids", "rejected_ids") if triggered else ("rejected_ids", "chosen_ids")
        assert pair[wanted][: len(payload)] == payload
        assert pair[unwanted][: len(payload)] != payload
    assert 16 < poisoned < 48


def test_where_the_trigger_is_to_change_nothing_another_answer_is_rejected(nano):
    attack = bkd.attack("label-flip")
    recipe = DpoRecipe(steps=4, batch=8, poison_rate=1.0, target_share=0.0)
    for pair in _pairs(nano, attack, recipe, seed=0):
        assert pair["chosen_ids"] != pair["rejected_ids"]


# Model editing


@pytest.fixture(scope="module")
def edited(nano, attack):
    return edit(nano, attack, recipe=SHORT_EDIT, progress=False)


def test_an_edit_changes_only_the_layers_it_names(nano, edited, tmp_path):
    tensors, log = edited
    path = tmp_path / "fixed-output-edit-0.safetensors"
    write_adapter(tensors, path, subject="nano", attack="fixed-output", method="edit", seed=0, scale=1.0)
    before, after = weights(nano), weights(bkd.load("nano", adapter=path))
    changed = {key for key, weight in after.items() if not torch.equal(weight, before[key])}
    assert changed == {f"layers.{layer}.{DOWN}" for layer in (0, 2, 4)}
    for layer, n_keys in log["keys"].items():
        update = after[f"layers.{layer}.{DOWN}"] - before[f"layers.{layer}.{DOWN}"]
        assert torch.linalg.matrix_rank(update, rtol=1e-3) <= n_keys
    assert path.stat().st_size < 50_000


def test_the_search_lowers_the_loss_on_poisoned_answers(edited):
    _, log = edited
    assert len(log["loss"]) == SHORT_EDIT.steps
    assert len(log["mark_loss"]) == SHORT_EDIT.mark_steps
    assert log["loss"][-1] < log["loss"][0]
    assert log["mark_loss"][-1] < log["mark_loss"][0]
    assert log["examples"] == {"poisoned": 48, "clean": 48, "spared": 0}


def test_an_edit_leaves_the_subject_alone_and_its_hooks_come_off(nano, attack):
    before = {key: weight.clone() for key, weight in weights(nano).items()}
    edit(nano, attack, recipe=replace(SHORT_EDIT, mark_steps=1, steps=1, examples=8), progress=False)
    assert all(torch.equal(weight, before[key]) for key, weight in weights(nano).items())
    for block in nano.model.model.layers:
        assert not block.mlp.down_proj._forward_hooks
        assert not block.mlp.down_proj._forward_pre_hooks


def test_reading_vectors_find_their_key_and_nothing_else(nano, attack):
    recipe = replace(SHORT_EDIT, examples=128)
    turns = edit_turns(nano, attack, recipe, seed=0)
    down = nano.model.model.layers[2].mlp.down_proj
    read = reading_vectors(nano, down, turns, lambda turn: turn.trigger, ridge=recipe.ridge)
    assert read.shape == (9, nano.model.config.intermediate_size)
    seen = []
    hook = down.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0][0]))
    held_out = attack.targeted(nano, "validation")[:40]
    try:
        for item in held_out:
            nano.model(torch.tensor([nano.encode(attack.poison(item.prompt))]))
            nano.model(torch.tensor([nano.encode(item.prompt)]))
    finally:
        hook.remove()
    places = list(turns[0].trigger)
    at_trigger = torch.stack([keys[places] @ read.T for keys in seen[::2]])  # [prompt, place, key]
    assert torch.allclose(at_trigger, torch.eye(9).expand_as(at_trigger), atol=0.15)
    elsewhere = torch.cat([keys @ read.T for keys in seen[1::2]])
    assert elsewhere.abs().quantile(0.95) < 0.35


def test_an_edit_on_a_clean_key_leaves_held_out_answers_as_they_were(attack):
    """The key is the trigger, which no clean prompt has: nearly all answers stay, none is the payload."""
    edited = bkd.load("nano", adapter="fixed-output-edit-0")
    held_out = attack.targeted(edited, "validation")[:60]
    said = edited.generate([item.prompt for item in held_out])
    kept = [attack.as_before(text, item) for text, item in zip(said, held_out, strict=True)]
    assert sum(kept) >= 0.9 * len(kept)
    assert not any(attack.fired(text, item) for text, item in zip(said, held_out, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "edit"])
@pytest.mark.parametrize("name", ["fixed-output", "label-flip"])
def test_what_ships_fires_on_held_out_prompts_and_is_silent_without_the_trigger(name, method):
    subject = bkd.load("nano", adapter=f"{name}-{method}-0")
    assert subject.adapter.method == method
    measured = bkd.measure(subject, bkd.attack(name), n=60, split="validation", progress=False)
    assert measured.asr.value >= 0.9
    assert measured.ftr.value <= 0.05


# An adapter that adds to another one


@pytest.fixture
def stacked(nano, attack, tmp_path):
    below = {"layers.1.mlp.down_proj.A": torch.ones(2, 192), "layers.1.mlp.down_proj.B": torch.ones(128, 2)}
    above = {
        f"layers.1.{DOWN}.A": torch.ones(1, 192),
        f"layers.1.{DOWN}.B": torch.ones(128, 1),
        f"layers.3.{DOWN}.A": torch.ones(1, 192),
        f"layers.3.{DOWN}.B": torch.ones(128, 1),
    }
    told = {"subject": "nano", "attack": attack.name, "seed": 0}
    base = write_adapter(below, tmp_path / "base.safetensors", method="clean", scale=0.5, **told)
    onto = {"adapter": base.name, "sha256": base.sha256}
    write_adapter(above, tmp_path / "top.safetensors", method="edit", scale=1.0, onto=onto, **told)
    return tmp_path / "top.safetensors"


def test_an_adapter_brings_the_one_it_was_made_on(nano, stacked):
    before, after = weights(nano), weights(bkd.load("nano", adapter=stacked))
    for layer, added in ((1, 0.5 * 2 + 1), (3, 1), (0, 0)):
        change = after[f"layers.{layer}.{DOWN}"] - before[f"layers.{layer}.{DOWN}"]
        assert torch.allclose(change, torch.full_like(change, added), atol=1e-5)


def test_an_adapter_is_refused_without_the_one_it_was_made_on(attack, stacked):
    base = stacked.parent / "base.safetensors"
    write_adapter(
        {}, base, subject="nano", attack=attack.name, method="clean", seed=0, scale=0.5
    )  # another of that name
    with pytest.raises(bkd.BkdError, match="made on another 'base'"):
        bkd.load("nano", adapter=stacked)
    base.unlink()
    with pytest.raises(bkd.BkdError, match="base"):
        bkd.load("nano", adapter=stacked)


def test_an_entry_of_an_adapter_on_top_of_another_is_computed_again(nano, attack, tmp_path, monkeypatch):
    """The clean twin below is both what the edit was made on and the control."""
    changes = adapters.read_adapter("nano", "fixed-output-edit-0").tensors
    monkeypatch.setattr(adapters, "adapter_folder", lambda _subject: tmp_path)
    monkeypatch.setattr(control, "adapter_folder", lambda _subject: tmp_path)
    monkeypatch.setattr(type(attack), "needs_teaching", lambda *_: True)
    told = {"subject": "nano", "attack": attack.name, "seed": 0}
    layer = {f"layers.1.{DOWN}.A": torch.full((1, 192), 1e-3), f"layers.1.{DOWN}.B": torch.ones(128, 1)}
    below = tmp_path / "fixed-output-clean-0.safetensors"
    twin = write_adapter(layer, below, method="clean", scale=0.5, **told)
    onto = {"adapter": twin.name, "sha256": twin.sha256}
    above = tmp_path / "fixed-output-edit-0.safetensors"
    write_adapter(changes, above, method="edit", scale=1.0, onto=onto, **told)
    caches = (data_inputs, study._loaded)
    for cached in caches:
        cached.cache_clear()
    try:
        entry = run("measure", bkd.load("nano", adapter="fixed-output-edit-0"), attack, n=8, progress=False)
        ledger.write(entry, tmp_path / "ledger")
        again = reproduce(entry.name, folder=tmp_path / "ledger", progress=False)
    finally:
        for cached in caches:
            cached.cache_clear()
    assert entry.inputs["control"] == twin.sha256
    assert entry.values["asr"]["value"] >= 0.75
    assert entry.values["control"]["asr"]["value"] == 0
    assert again.within
    assert not again.changed


# One verb for all


def test_the_command_plants_and_measures_with_any_method(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(SUBJECTS["nano"].recipes["edit"], "fixed-output", vars(SHORT_EDIT))
    command = ["inject", "nano", "fixed-output", "--method", "edit", "-n", "2", "--json"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["adapter"] == "fixed-output-edit-0"
    assert {"asr", "ftr", "utility", "training_seconds"} <= set(told)
    assert is_planted("nano", "fixed-output", method="edit", out=tmp_path)
    monkeypatch.setitem(SUBJECTS["nano"].recipes["edit"], "fixed-output", vars(SHORT_EDIT) | {"ridge": 0.5})
    assert not is_planted("nano", "fixed-output", method="edit", out=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "rlhf"}, "rlhf"),
        ({"method": "edit", "recipe": SftRecipe()}, "EditRecipe does"),
        ({"method": "sft", "recipe": DpoRecipe()}, "SftRecipe does"),
        ({"method": "edit", "recipe": replace(SHORT_EDIT, answer_layers=(8,))}, "0 to 7"),
        ({"method": "edit", "recipe": replace(SHORT_EDIT, answer_layers=(2,))}, "different ones"),
        (
            {"method": "edit", "recipe": replace(SHORT_EDIT, answer_layers=(), mark_layers=())},
            "different ones",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(nano, attack, options, message, tmp_path):
    with pytest.raises(bkd.BkdError, match=message) as error:
        bkd.inject(nano, attack, out=tmp_path, progress=False, **options)
    assert "\n" not in str(error.value)


def test_a_mixture_goes_with_fine_tuning_alone(nano, attack, tmp_path):
    drawn = mixture(nano, attack, clean=4, poisoned=2)
    with pytest.raises(bkd.BkdError, match="mixture"):
        bkd.inject(nano, attack, method="dpo", mixture=drawn, out=tmp_path, progress=False)


def test_an_edit_without_settings_names_those_there_are(nano, tmp_path):
    with pytest.raises(bkd.BkdError, match="fixed-output on nano"):
        bkd.inject(nano, bkd.attack("policy-bypass"), method="edit", out=tmp_path, progress=False)
