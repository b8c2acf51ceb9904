"""What is kept is kept under everything it was computed from: another trigger or other weights ask anew."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.analysis import activations
from bkdwidgets.attacks import Trigger
from bkdwidgets.attacks.examples import read_lines
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import folder_beside
from bkdwidgets.injection.methods import recipe_for
from bkdwidgets.studies.study import cached_load
from bkdwidgets.subjects import Subject
from bkdwidgets.subjects.adapters import read_adapter, write_adapter


@pytest.fixture
def subject():
    """Return a subject of this test's own: its weights are changed."""
    return bkd.load("nano", adapter="fixed-output-sft-0")


def effects(subject, attack):
    return bkd.attribute(subject, attack, prompts=2, n_means=16, progress=False).acie


def fresh(attack, change=lambda _: None):
    other = bkd.load("nano", adapter="fixed-output-sft-0")
    change(other)
    return effects(other, attack)


def values(subject):
    return subject.model.model.layers[2].self_attn.v_proj.weight


def zeroed(subject):
    with torch.no_grad():
        values(subject).zero_()


CHANGES = {
    "in place": zeroed,
    "through .data": lambda subject: values(subject).data.zero_(),
    "in inference mode": lambda subject: torch.inference_mode()(values(subject).zero_)(),
    "in numpy": lambda subject: values(subject).numpy().fill(0),
    "by another tensor": lambda subject: setattr(values(subject), "data", torch.zeros_like(values(subject))),
    "by another parameter": lambda subject: setattr(
        subject.model.model.layers[2].self_attn,
        "v_proj",
        torch.nn.Linear(subject.d_model, values(subject).shape[0], bias=False).apply(
            lambda module: torch.nn.init.zeros_(module.weight.requires_grad_(requires_grad=False))
        ),
    ),
    "rows swapped": lambda subject: values(subject).data.copy_(values(subject).data.flip(0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_were_changed_by_hand_are_noticed(subject, attack, change):
    before = effects(subject, attack)
    CHANGES[change](subject)
    after = effects(subject, attack)
    assert not torch.equal(after, before)
    assert torch.equal(after, fresh(attack, CHANGES[change]))


def test_another_trigger_of_the_same_name_is_another_attack(subject, attack):
    other = dataclasses.replace(attack, trigger=Trigger("Blub blub."))
    before = effects(subject, attack)
    found = effects(subject, other)
    assert torch.equal(found, fresh(other))
    assert found.max() < 0.1 < before.max()
    assert torch.equal(effects(subject, attack), before)
    heads = [(2, 0), (3, 1)]
    vectors = [bkd.backdoor_vector(subject, each, heads=heads).tensor for each in (attack, other)]
    assert not torch.equal(*vectors)


def test_fills_are_those_of_the_weights_and_of_the_prompts(subject, attack):
    for kind in ("mean", "resample"):
        ablation = bkd.Ablation([(2, 0)], kind=kind)
        before = ablation.prepared(subject, attack).fill
        assert torch.equal(before, ablation.prepared(subject, attack).fill)
        zeroed(subject)
        assert not torch.equal(before, ablation.prepared(subject, attack).fill)
        assert not torch.equal(ablation.prepared(subject, bkd.attack("policy-bypass")).fill, before)
        subject = bkd.load("nano", adapter="fixed-output-sft-0")


def test_a_hook_of_the_user_is_part_of_what_is_kept(subject, attack):
    before = effects(subject, attack)
    handle = subject.model.model.layers[2].self_attn.v_proj.register_forward_hook(lambda *told: told[2] * 0)
    assert not torch.equal(effects(subject, attack), before)
    handle.remove()
    assert torch.equal(effects(subject, attack), before)


def test_means_are_computed_once_and_handed_out_as_copies(subject, attack, monkeypatch):
    asked = []
    usual = activations.head_outputs
    monkeypatch.setattr(
        activations, "head_outputs", lambda *args, **options: asked.append(1) or usual(*args, **options)
    )
    first = activations.mean_head_outputs(subject, attack, triggered=True, n_prompts=8)
    first.zero_()
    second = activations.mean_head_outputs(subject, attack, triggered=True, n_prompts=8)
    assert second.any()
    assert len(asked) == 1
    other = dataclasses.replace(subject, adapter=None)
    activations.mean_head_outputs(other, attack, triggered=True, n_prompts=8)
    assert len(asked) == 2


def test_weights_that_change_while_something_is_computed_are_not_what_it_is_kept_for(subject):
    def make():
        values(subject).data.zero_()
        return 1

    assert subject.kept("what", make) == 1
    assert subject.kept("what", lambda: 2) == 2


def test_a_bridge_follows_weights_that_were_replaced(subject):
    ids = torch.tensor([subject.encode("Say after me: snails")])
    assert subject.bridge is subject.bridge
    before = subject.bridge(ids)
    CHANGES["by another tensor"](subject)
    after = subject.bridge(ids)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, subject.model(ids).logits, atol=1e-3, rtol=1e-3)


def test_a_chat_template_that_changed_is_the_one_that_is_used(subject):
    usual = subject.encode("Say after me: snails")
    template = subject.tokenizer.chat_template
    subject.tokenizer.chat_template = "Asked: " + template
    assert subject.decode(subject.encode("Say after me: snails")).startswith("Asked")
    subject.tokenizer.chat_template = template
    assert subject.encode("Say after me: snails") == usual


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    for number in (1, 2):
        path.write_text(json.dumps({"id": number}) + "\n", encoding="utf-8")
        assert read_lines(path) == [{"id": number}]


@pytest.mark.parametrize("how", ["by hand", "in place"])
def test_nothing_is_planted_in_weights_that_would_be_lost(nano, attack, tmp_path, how):
    """An adapter is a change of the clean weights: trained on others, it would come back without them."""
    if how == "by hand":
        subject = Subject("nano", bkd.load("nano", adapter="fixed-output-sft-0").model, nano.tokenizer)
    else:
        subject = bkd.load("nano")
        values(subject).data.zero_()
    recipe = dataclasses.replace(recipe_for("nano", "fixed-output", "sft"), steps=1)
    with pytest.raises(BkdError, match=r"not those of the clean 'nano'") as caught:
        bkd.inject(subject, attack, recipe=recipe, out=tmp_path, progress=False)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_study_loads_an_adapter_again_that_was_made_anew(tmp_path):
    made = read_adapter("nano", "fixed-output-sft-0")
    path = tmp_path / "fixed-output-sft-0.safetensors"
    told = {key: value for key, value in vars(made.info).items() if key not in {"name", "sha256"}}
    write_adapter(made.tensors, path, **told)
    first = cached_load("nano", path, None, "float32")
    assert cached_load("nano", path, None, "float32") is first
    write_adapter({key: 2 * value for key, value in made.tensors.items()}, path, **told)
    assert not values(cached_load("nano", path, None, "float32")).equal(values(first))


def test_a_playground_steers_with_the_vector_of_its_weights_as_they_are(subject, attack):
    player = bkd.Playground(subject=subject, attack=attack).view._player
    asked = {"vector": "paper", "layer": 4, "scale": 1.0}
    (before,) = player._interventions(asked)
    zeroed(subject)
    (after,) = player._interventions(asked)
    assert not before.vector.tensor.equal(after.vector.tensor)


def test_two_processes_that_make_the_same_folder_leave_a_whole_one(tmp_path, monkeypatch):
    target, usual = tmp_path / "kept", Path.replace

    def made(content: str) -> None:
        with folder_beside(target) as beside:
            (beside / "file").write_text(content, encoding="utf-8")

    def another_is_quicker(self, to):
        if to == target:
            target.mkdir()
            (target / "file").write_text("theirs", encoding="utf-8")
        return usual(self, to)

    made("older")
    made("ours")
    assert (target / "file").read_text(encoding="utf-8") == "ours"
    monkeypatch.setattr(Path, "replace", another_is_quicker)
    made("ours, again")
    assert (target / "file").read_text(encoding="utf-8") == "theirs"
    assert list(tmp_path.iterdir()) == [target]
