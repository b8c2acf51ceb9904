"""The clean model of a subject and an attack: one rule, which everything that compares with it follows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import bkdwidgets as bkd
from bkdwidgets.attacks import ATTACKS, Attack
from bkdwidgets.attacks.control import (
    checked_control,
    control_name,
    control_path,
    load_control,
    read_control,
)
from bkdwidgets.browser.adapters import described, exported_names
from bkdwidgets.core import ledger
from bkdwidgets.core.paths import data_dir
from bkdwidgets.studies.job import data_inputs
from bkdwidgets.studies.study import Context
from bkdwidgets.subjects import SUBJECTS, adapter_names
from bkdwidgets.subjects.adapters import adapter_info, read_adapter, write_adapter


class Taught(Attack):
    """An attack whose task no subject knows."""

    def needs_teaching(self, subject):  # noqa: ARG002
        return True


@pytest.fixture
def taught(attack, monkeypatch, tmp_path):
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path / "cache"))
    return Taught("taught", attack.trigger, attack.payload)


def write_twin(folder, seed_of="fixed-output-sft-0"):
    adapter = read_adapter("nano", seed_of)
    return write_adapter(
        adapter.tensors, folder / "taught-clean-0.safetensors",
        subject="nano", attack="taught", method="clean", seed=0, scale=adapter.info.scale,
    )  # fmt: skip


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_twins_that_ship_are_those_that_are_needed(subject):
    """So the control of every published number is the one that the rule names."""
    shipped = {name for name in adapter_names(subject) if adapter_info(subject, name).method == "clean"}
    planted = {adapter_info(subject, name).attack for name in adapter_names(subject)}
    needed = {control_name(subject, ATTACKS[name]) for name in planted} - {None}
    assert shipped == needed


def test_every_published_entry_was_made_with_this_control():
    seen = set()
    for path in sorted((data_dir() / "ledger").rglob("*.json")):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if (named := entry["inputs"].get("control")) is None:
            continue
        name = control_name(entry["subject"], ATTACKS[entry["attack"]])
        wanted = "base" if name is None else adapter_info(entry["subject"], name).sha256
        assert named == wanted, path
        seen.add(wanted)
    assert len(seen) == 3


def test_all_who_compare_take_the_same_one():
    attack = bkd.attack("label-flip")
    twin = adapter_info("smollm2", "label-flip-clean-0")
    assert data_inputs("smollm2", attack)["control"] == twin.sha256
    assert described("smollm2", "label-flip-sft-0")["clean"] == twin.name
    assert twin.name in exported_names("smollm2")
    assert read_control("smollm2", attack).info == twin
    assert described("nano", "label-flip-sft-0")["clean"] is read_control("nano", attack) is None
    assert ledger.read("smollm2/label-flip-sft-0/measure").inputs["control"] == twin.sha256


def test_it_is_looked_for_where_it_was_put_then_where_it_ships_then_where_it_was_made(
    taught, monkeypatch, tmp_path
):
    with pytest.raises(bkd.BkdError, match="bkdwidgets inject nano taught --method clean") as error:
        control_path("nano", taught)
    assert "taught-clean-0" in str(error.value)
    assert "\n" not in str(error.value)
    own = tmp_path / "cache" / "adapters" / "nano"
    write_twin(own)
    assert control_path("nano", taught).parent == own
    monkeypatch.setattr("bkdwidgets.attacks.control.adapter_folder", lambda _: tmp_path / "shipped")
    write_twin(tmp_path / "shipped")
    assert control_path("nano", taught).parent == tmp_path / "shipped"
    write_twin(tmp_path / "out")
    assert control_path("nano", taught, tmp_path / "out").parent == tmp_path / "out"


def test_where_a_task_was_taught_the_twin_is_loaded_by_all(taught, nano, poisoned_nano, tmp_path):
    write_twin(tmp_path / "cache" / "adapters" / "nano")
    wanted = poisoned_nano.model.state_dict()
    context = Context(poisoned_nano, taught, {}, {})
    for control in (
        load_control(poisoned_nano, taught),
        checked_control(poisoned_nano, taught, None),
        context.clean,
    ):
        assert control.is_control
        assert control.adapter.name == "taught-clean-0"
        assert all(value.equal(wanted[name]) for name, value in control.model.state_dict().items())
    assert load_control(poisoned_nano, bkd.attack("fixed-output")).adapter is None
    assert checked_control(nano, taught, None) is nano


def test_a_clean_twin_is_a_control_and_a_backdoor_is_not(nano, poisoned_nano, attack):
    twin = replace(nano, adapter=replace(poisoned_nano.adapter, name="fixed-output-clean-0", method="clean"))
    assert checked_control(poisoned_nano, attack, twin) is twin
    assert checked_control(poisoned_nano, attack, None).adapter is None
    for given in (poisoned_nano, replace(nano, name="other")):
        with pytest.raises(bkd.BkdError, match="a clean 'nano' is"):
            checked_control(poisoned_nano, attack, given)
    with pytest.raises(bkd.BkdError, match="clean='nano' is not a Subject"):
        checked_control(poisoned_nano, attack, "nano", "clean")
