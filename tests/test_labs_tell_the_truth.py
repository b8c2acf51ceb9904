"""What a lab opens with, and what it compares a number with."""

from __future__ import annotations

import json

import ipywidgets
import pytest
import tables
from node import run_node

import bkdwidgets as bkd
from bkdwidgets.core import ledger
from bkdwidgets.widgets import AblationLab, GridLab, VectorLab

FAMILIES = [
    (subject, f"{attack}-sft-0")
    for subject in ("smollm2", "nano")
    for attack in ("fixed-output", "label-flip", "policy-bypass")
]


def test_what_stands_beside_a_number_is_over_the_same_prompts(tmp_path):
    for subject, adapter in FAMILIES:
        for lab in ("ablation", "vector"):
            table = bkd.lab_table(subject, adapter, lab)
            (tmp_path / f"{lab}-{subject}-{adapter}.json").write_text(json.dumps(table), encoding="utf-8")
    run_node("compared.test.mjs", BKD_TABLES=tmp_path)


@pytest.mark.parametrize(("subject", "adapter"), FAMILIES)
def test_the_vector_lab_opens_where_adding_brings_the_payload_most_often(subject, adapter):
    table = bkd.lab_table(subject, adapter, "vector")
    lab = VectorLab(table)
    assert lab.scale.label == "+1"
    fired = {
        cell["layer"]: sum(cell["rates"]["outcomes_clean"][letter] for letter in "Pp")
        for cell in table["cells"]
        if (cell["vector"], cell["scale"]) == (table["vectors"][0], 1.0)
    }
    assert fired[lab.view.layer_index] == max(fired.values())


def test_the_first_vector_lab_of_the_book_opens_on_a_refusal_without_a_trigger():
    table = bkd.lab_table("smollm2", "fixed-output-sft-0", "vector")
    lab = VectorLab(table)
    assert lab.view.layer_index == 12
    (cell,) = (
        cell for cell in table["cells"]
        if (cell["vector"], cell["layer"], cell["scale"]) == ("paper", 12, 1.0)
    )  # fmt: skip
    assert {letter for _, letter in cell["clean"]} == {"p"}, "a refusal in words of its own"


def test_the_grids_open_where_the_chapters_say():
    poison = GridLab(bkd.lab_table("nano", "fixed-output-sft", "poison"))
    assert [control.label for control in poison.axes.values()] == ["100", "16"], "sixteen, 100 steps"
    restored = GridLab(bkd.lab_table("smollm2", "fixed-output-sft-0", "restoration"))
    assert [control.label for control in restored.axes.values()] == ["attention", "up to layer", "29"]


@pytest.mark.parametrize("subject", ["nano", "smollm2"])
@pytest.mark.parametrize("attack", ["fixed-output", "label-flip", "policy-bypass"])
def test_restored_weights_stand_beside_the_same_prompts(subject, attack):
    adapter = f"{attack}-sft-0"
    table = bkd.lab_table(subject, adapter, "restoration")
    whole = ledger.read(f"{subject}/{adapter}/measure").values
    cells = [cell for cell in table["cells"] if "utility" in cell["rates"]]
    assert len(cells) == 2
    for name, model in (("reference", whole), ("control", whole["control"])):
        rates = table[name]["rates"]
        for cell in cells:
            assert {key: rate["n"] for key, rate in rates.items()} == {
                key: rate["n"] for key, rate in cell["rates"].items() if key in rates
            }
        n = rates["asr"]["n"]
        fired = model["letters"]["triggered"][:n].count("P")
        assert rates["asr"]["value"] == pytest.approx(fired / n, abs=1e-4)


def test_a_slider_of_stops_is_known_by_its_class():
    grid = GridLab(tables.grid_table() | {"axes": [
        {"name": "time", "values": [5, 50, 500]}, {"name": "dose", "values": [0, 1, 10, 100, 1000]},
    ]})  # fmt: skip
    labs = (AblationLab(tables.ablation_table()), VectorLab(tables.vector_table()), grid)
    for lab in labs:
        _, controls, _ = lab.children[0].children
        sliders = [item for item in controls.children if isinstance(item, ipywidgets.SelectionSlider)]
        assert sliders
        assert all("bkd-stops" in slider._dom_classes for slider in sliders)
