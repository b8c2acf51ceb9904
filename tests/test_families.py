"""Three ways of planting beside each other: whose heads, whose vector, and what the controls say."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.analysis import BackdoorVector
from bkdwidgets.core import ledger
from bkdwidgets.studies import families, reproduce, run
from bkdwidgets.studies.families import DONE
from bkdwidgets.studies.families_probe import CLEAN, probe_transfer
from bkdwidgets.studies.family import family_info
from bkdwidgets.studies.study import Context
from bkdwidgets.subjects.adapters import read_adapter

MADE = ("sft-0", "sft-1", "dpo-0", "edit-0")
NAME = "nano/fixed-output-sft/families"
PUBLISHED = ledger.entry_path(NAME).parents[2]
SMALL = {
    "prompts": 4, "n_means": 8, "n": 4, "n_choice": 2, "layers": [0, 6], "scales": [1.0], "probed": 20,
    "draws": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def two():
    names = ("fixed-output-sft-0", "fixed-output-dpo-0")
    return {name: read_adapter("nano", name).info.sha256 for name in names}


@pytest.mark.slow
def test_every_adapter_gets_the_heads_and_the_vector_of_every_other(nano, attack, two, tmp_path):
    entry = run("families", nano, attack, progress=False, adapters=two, **SMALL)
    assert entry.name == NAME
    first, second = two
    for target in two:
        assert entry.values["none"][target]["asr"]["value"] == 1.0
        assert list(entry.values["moved"][target]) == [first, second]
        assert set(entry.values["random"][target]) == set(DONE)
        assert entry.values["random"][target]["cure"]["asr"]["draws"] == 2
        chosen = entry.values["chosen"][target]
        assert chosen["cure"]["scale"] < 0 < chosen["on"]["scale"]
        assert {chosen[what]["layer"] for what in ("cure", "on")} <= {0, 6}
        assert len(entry.values["acie"][target]) == nano.n_layers
        for source in two:
            moved = entry.values["moved"][target][source]
            assert moved["ablated"]["asr"]["n"] == moved["cure"]["asr"]["n"] == moved["on"]["ftr"]["n"] == 4
            assert "ftr" not in moved["cure"], "clean prompts are not asked while the payload is taken away"
    matrix = entry.values["heads"]["spearman"]
    assert matrix[0][1] == matrix[1][0]
    assert matrix[0][0] == matrix[1][1] == 1
    ledger.write(entry, tmp_path)
    assert reproduce(NAME, folder=tmp_path, progress=False).within


def test_a_vector_that_breaks_every_answer_is_no_cure(nano, attack, monkeypatch):
    """Where the payload goes away is not enough: a place counts by the old answers that come back."""
    said = {
        "triggered.0.1.0": "????",
        "triggered.6.1.0": "=P=P",
        "clean.0.1.0": "P???",
        "clean.6.1.0": "====",
    }
    monkeypatch.setattr(families, "ask", lambda *_, **__: said)
    vector = BackdoorVector(torch.ones(nano.d_model), ((0, 0),), "difference")
    usual = families.Families().settings(nano, attack)
    settings = dataclasses.replace(usual, layers=[0, 6], scales=[1.0], n_choice=4)
    context = Context(nano, attack, settings, {})
    chosen = families._chosen(context, nano, vector)
    assert chosen == {"cure": {"layer": 6, "scale": -1.0}, "on": {"layer": 0, "scale": 1.0}}


def test_a_probe_sees_its_own_backdoor_and_is_tested_on_every_other(nano, attack):
    names = ["fixed-output-sft-0", "fixed-output-edit-0"]
    found = probe_transfer(
        nano, lambda name: bkd.load("nano", adapter=name), names, attack, prompts=100, progress=False
    )
    assert list(found["accuracy"]) == list(found["shuffled"]) == [*names, CLEAN]
    for target, row in found["accuracy"].items():
        assert list(row) == [*names, CLEAN]
        assert row[target]["n"] == 20
        for source, rate in row.items():
            assert rate["low"] <= rate["value"] <= rate["high"]
            layers = found["layers"][target][source]
            assert len(layers) == nano.n_layers, "the embedding is left out"
            assert sum(layers) / len(layers) == pytest.approx(rate["value"])
        assert 0.3 < found["shuffled"][target]["value"] < 0.7
    for name in names:
        assert found["accuracy"][name][name]["low"] > found["accuracy"][CLEAN][name]["high"]
        assert found["accuracy"][name][name]["low"] > found["shuffled"][name]["high"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"adapters": {}}, "at least one"),
        ({"adapters": {"x-lora-0": ""}}, "lora"),
        ({"k": 0}, "k=0"),
        ({"layers": [8]}, "8 is unknown"),
        ({"scales": []}, "at least one"),
        ({"probed": 5}, "n=5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said, nano, attack):
    with pytest.raises(bkd.BkdError, match=said):
        run("families", nano, attack, progress=False, **settings)


@pytest.mark.parametrize("name", ["fixed-output", "label-flip"])
def test_the_shipped_entries_are_of_the_shipped_adapters(nano, name):
    shipped = ledger.read(f"nano/{name}-sft/families")
    assert shipped.adapter_sha256 == family_info(nano, bkd.attack(name)).sha256
    assert list(shipped.values["adapters"]) == [f"{name}-{made}" for made in MADE]
    for adapter, sha256 in shipped.settings["adapters"].items():
        assert read_adapter("nano", adapter).info.sha256 == sha256


@pytest.mark.parametrize("show", ["restoration", "overview"])
def test_what_is_left_is_drawn_from_the_entries_of_the_same_adapters(show, tmp_path, monkeypatch):
    there = bkd.figure(NAME, show=show)
    assert "1.000 with clean attention weights" in there.alt, "an edit leaves attention alone"
    stored = ledger.read(NAME)
    ledger.write(stored, tmp_path / "ledger")
    monkeypatch.setattr(ledger, "data_dir", lambda: tmp_path)
    assert "not measured yet" in bkd.figure(NAME, show=show).caption
    other = ledger.read("nano/fixed-output-edit-0/restoration", PUBLISHED)
    ledger.write(replace(other, adapter_sha256="0" * 64))
    assert "not measured yet" in bkd.figure(NAME, show=show).caption


def test_the_overview_has_a_map_for_every_trace_with_its_control():
    drawn = bkd.figure(NAME, show="overview")
    maps = [trace for trace in drawn.figure.data if trace.type == "heatmap"]
    assert len(maps) == len(MADE) + 5
    columns = [list(trace.x) for trace in maps[len(MADE) :]]
    assert sum(names[-1] == "random" for names in columns) == 3
    assert columns[-1][-1] == "clean"
    assert len({(trace.xaxis, trace.yaxis) for trace in drawn.figure.data}) == len(MADE) + 6
