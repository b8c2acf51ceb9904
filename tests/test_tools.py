"""What each tool finds in each backdoor: an entry made of others, its figure, and what it must show."""

from __future__ import annotations

import re
import shutil

import pytest

import bkdwidgets as bkd
from bkdwidgets.cli import main
from bkdwidgets.core import ledger
from bkdwidgets.figures.tools import short
from bkdwidgets.studies import report, reproduce
from bkdwidgets.studies.tools import Tools

NAME = "nano/fixed-output-sft/tools"
PUBLISHED = ledger.entry_path(NAME).parents[2]


@pytest.fixture(scope="module")
def tools() -> ledger.Entry:
    return ledger.read(NAME)


def of(entry, adapter, address):
    return entry.value(f"{adapter}.{address}")


def test_it_is_about_every_shipped_backdoor_of_one_payload(tools):
    adapters = tools.settings["adapters"]
    assert adapters[0] == "fixed-output-sft-0"
    assert {"fixed-output-dpo-0", "fixed-output-match-0", "two-key-sft-0", "style-sft-0"} <= set(adapters)
    assert not [name for name in adapters if name.startswith(("label-flip", "policy-bypass"))]
    for name in adapters:
        for study in Tools.needs:
            entry = ledger.read(f"nano/{name}/{study}")
            assert tools.inputs[entry.name] == entry.digest(), f"{entry.name} is newer; sweep again"
        measured = ledger.read(f"nano/{name}/measure")
        assert of(tools, name, "works.asr") == measured.value("asr")


def test_who_matches_clean_states_hides_from_the_probe_there_and_not_behind(tools):
    plain, hidden = "fixed-output-sft-0", "fixed-output-match-0"
    middle, last = "probe.middle.found", "probe.last.found"
    assert of(tools, hidden, middle)["high"] < of(tools, plain, middle)["low"]
    assert of(tools, hidden, middle)["value"] <= of(tools, hidden, "probe.middle.control")["value"]
    assert of(tools, hidden, last)["low"] > of(tools, hidden, "probe.last.control")["high"]
    assert of(tools, hidden, "works.asr")["value"] >= 0.95


def test_who_spreads_over_heads_hides_from_ablation_and_not_from_the_vector(tools):
    plain, hidden = "fixed-output-sft-0", "fixed-output-spread-0"
    assert of(tools, hidden, "heads.found")["high"] < of(tools, plain, "heads.found")["low"]
    assert of(tools, hidden, "cure.found")["low"] > of(tools, hidden, "cure.control")["value"]
    assert of(tools, hidden, "works.asr")["value"] >= 0.95


@pytest.mark.parametrize(
    ("family", "said"),
    [
        (("fixed-output", "dpo"), "known: fixed-output-sft"),
        (("two-key", "sft"), "plain fine-tuning"),
        (("", "sft"), "sft"),
    ],
)
def test_only_a_plain_fine_tuning_has_one(family, said):
    with pytest.raises(bkd.BkdError, match=said) as error:
        Tools().derive("nano", *family)
    assert "\n" not in str(error.value)


def test_what_a_tool_has_not_looked_at_is_left_out(tmp_path, capsys):
    for name in ("fixed-output-sft-0", "fixed-output-match-0", "fixed-output-spread-0"):
        shutil.copytree(PUBLISHED / "nano" / name, tmp_path / "nano" / name)
    ledger.entry_path("nano/fixed-output-match-0/probe", tmp_path).unlink()
    entry = Tools().derive("nano", "fixed-output", "sft", tmp_path)
    assert entry.settings["adapters"] == ["fixed-output-sft-0", "fixed-output-spread-0"]
    ledger.write(entry, tmp_path)
    assert reproduce(NAME, folder=tmp_path).within
    entry.values["fixed-output-sft-0"]["heads"]["found"]["value"] += 0.01
    ledger.write(entry, tmp_path)
    assert main(["reproduce", NAME, "--ledger", str(tmp_path)]) == 1
    assert "heads.found.value" in capsys.readouterr().out
    assert report("nano", folder=tmp_path).tables[0].adapter == "fixed-output-sft-0"
    shutil.rmtree(tmp_path / "nano" / "fixed-output-spread-0")
    with pytest.raises(bkd.BkdError, match="another one"):
        Tools().derive("nano", "fixed-output", "sft", tmp_path)


def test_the_figure_has_a_row_a_backdoor_and_a_panel_a_tool(tools):
    drawn = bkd.figure(NAME)
    names = [short(tools, name) for name in tools.settings["adapters"]]
    assert len(set(names)) == len(names)
    assert {"sft", "dpo", "match", "two-key", "end"} <= set(names)
    traces = drawn.figure.data
    assert all(list(trace.y) == names for trace in traces)
    assert len({trace.xaxis for trace in traces}) == 6
    assert sum(trace.name == "control" for trace in traces) == 5
    assert all(len(trace.error_x.array) == len(names) for trace in traces)
    assert re.search(r"match: 0\.\d{3}, control 0\.\d{3}", drawn.alt)


def test_near_misses_are_drawn_beside_the_clean_model():
    entry = ledger.read("nano/two-key-sft-0/near-misses")
    drawn = bkd.figure(entry.name)
    control, fires = drawn.figure.data
    assert fires.y[0] == "the trigger"
    assert [label for label in fires.y if "trained silent" in label] == [
        f"{name.replace('-', ' ')}<br>(trained silent)" for name in entry.values["decoys"]
    ]
    assert list(fires.x) == [rate["value"] for rate in entry.values["fires"].values()]
    assert list(control.x) == [rate["value"] for rate in entry.values["control"].values()]
