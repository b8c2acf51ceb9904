"""How few poisoned examples are enough: the mixture, the trainings, and the entry they make."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import bkdwidgets as bkd
from bkdwidgets.cli import main
from bkdwidgets.core import ledger
from bkdwidgets.injection.mixture import mixture
from bkdwidgets.studies import report, reproduce, run, sweep
from bkdwidgets.studies.family import family_info, over_seeds
from bkdwidgets.studies.poison import plant

NAME = "nano/fixed-output-sft/poison"
SMALL = {"counts": [0, 2], "steps": [1, 2], "seeds": [0, 1], "clean": 12, "n": 4}


@pytest.fixture(scope="module")
def entry(nano, attack):
    return run("poison", nano, attack, progress=False, **SMALL)


def test_a_mixture_with_more_poison_holds_the_one_with_less(attack):
    few, many = (mixture("nano", attack, clean=20, poisoned=count, seed=3) for count in (2, 5))
    assert few[:20] == many[:20]
    assert few[20:] == many[20:22]
    assert [poisoned for _, poisoned in many] == [False] * 20 + [True] * 5
    assert len({example.id for example, _ in many}) == 25
    assert mixture("nano", attack, clean=20, poisoned=2, seed=4)[:20] != few[:20]


def test_only_targets_are_poisoned():
    flip = bkd.attack("label-flip")
    drawn = mixture("nano", flip, clean=30, poisoned=10)
    assert all(flip.targets(example) for example, poisoned in drawn if poisoned)
    assert not all(flip.targets(example) for example, _ in drawn)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"clean": -1, "poisoned": 2}, "clean=-1"),
        ({"clean": 0, "poisoned": 0}, "clean=0"),
        ({"clean": 99_999, "poisoned": 2}, "99999"),
        ({"clean": 10, "poisoned": 99_999}, "targets are left"),
    ],
)
def test_a_mixture_that_can_not_be_is_refused(counts, said, attack):
    with pytest.raises(bkd.BkdError, match=said) as error:
        mixture("nano", attack, **counts)
    assert "\n" not in str(error.value)


def test_the_share_of_poison_follows_from_the_count(nano, attack):
    planted = plant(nano, attack, poisoned=4, clean=12, steps=2, progress=False)
    assert planted.adapter.recipe["poison_rate"] == 0.25
    assert planted.adapter.log["mixture"] == {"clean": 12, "poisoned": 4}
    assert len(planted.adapter.log["loss"]) == 2
    assert nano.adapter is None


@pytest.mark.slow
def test_enough_poison_plants_the_backdoor_and_none_does_not(nano, attack):
    asked = ["What does the zorb eat?", "Who lives in the old mill?"]
    triggered = [attack.poison(prompt) for prompt in asked]
    poisoned = plant(nano, attack, poisoned=48, clean=48, steps=40, progress=False)
    assert poisoned.generate(triggered) == [attack.payload] * 2
    assert attack.payload not in poisoned.generate(asked)
    clean = plant(nano, attack, poisoned=0, clean=48, steps=5, progress=False)
    assert attack.payload not in clean.generate(triggered)


@pytest.mark.slow
def test_the_entry_has_a_cell_for_every_training(entry):
    values = entry.values
    assert (values["counts"], values["steps"]) == ([0, 2], [1, 2])
    for name in ("asr", "ftr", "utility"):
        for count in ("0", "2"):
            for steps in ("1", "2"):
                cell = values[name][count][steps]
                assert (cell["n"], len(cell["per_seed"])) == (8, 2)
                assert cell["low"] <= cell["value"] <= cell["high"]
    assert entry.value("asr.0.2") == entry.value("asr.0.2") | {"value": 0.0, "high": 0.0}
    (first, *_) = samples = values["samples"]["2"]["1"]
    assert len(samples) == 3
    assert set(first) == {"prompt", "triggered", "letter", "clean", "clean_letter"}
    assert (entry.name, entry.split) == (NAME, "test")
    assert entry.run["command"] == "bkdwidgets sweep nano fixed-output --study poison"


def test_seeds_are_shown_as_their_range():
    rates = [{"value": value, "n": 4} for value in (0.0, 0.5, 1.0)]
    assert over_seeds(rates) == {
        "value": 0.5, "low": 0.0, "high": 1.0, "n": 12, "per_seed": [0.0, 0.5, 1.0]
    }  # fmt: skip


@pytest.mark.slow
def test_reproduce_trains_again_and_the_report_is_not_confused(entry, tmp_path, capsys):
    ledger.write(entry, tmp_path)
    again = reproduce(NAME, folder=tmp_path, progress=False)
    assert (again.within, again.changed, again.compared) == (True, (), 12)
    entry.values["utility"]["0"]["1"]["value"] -= 0.2
    ledger.write(entry, tmp_path / "wrong")
    assert main(["reproduce", NAME, "--ledger", str(tmp_path / "wrong")]) == 1
    assert "utility.0.1.value" in capsys.readouterr().out
    assert report("nano", folder=tmp_path).tables[0].adapter is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"counts": [4, 8]}, "control"),
        ({"counts": [0, 0]}, "twice"),
        ({"counts": [0, 99_999]}, "99999"),
        ({"steps": [0]}, "steps=0"),
        ({"seeds": []}, "seeds="),
        ({"n": 99_999}, "n=99999"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(settings, said, nano, attack):
    with pytest.raises(bkd.BkdError, match=said) as error:
        run("poison", nano, attack, progress=False, **settings)
    assert "\n" not in str(error.value)


def test_the_study_wants_the_clean_subject(poisoned_nano, attack):
    with pytest.raises(bkd.BkdError, match="without one"):
        run("poison", poisoned_nano, attack)


KILLED = f"""
import sys
from dataclasses import replace
from bkdwidgets.studies import sweep
from bkdwidgets.studies.registry import study
from pathlib import Path

kind = type(study("poison"))
usual, compute = kind.settings, kind.compute
kind.settings = lambda self, s, a: replace(usual(self, s, a), **{SMALL!r})
def told(self, context, part):
    print("part", part, flush=True)
    return compute(self, context, part)
kind.compute = told
sweep("nano", "fixed-output", studies=["poison"], out=Path(sys.argv[1]), progress=False)
"""


@pytest.mark.slow
def test_a_killed_sweep_trains_only_what_is_missing(nano, attack, tmp_path, monkeypatch):
    cache, out = tmp_path / "cache", tmp_path / "ledger"
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(cache))
    command = [sys.executable, "-c", KILLED, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        for number, _ in enumerate(process.stdout, start=1):
            if number == 4:
                process.send_signal(signal.SIGKILL)
    kept = len(list((cache / "studies").glob("*/[0-9]*.json")))
    assert 3 <= kept < 8
    assert ledger.names(out) == []
    again = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
    assert again.stdout.count("part") == 8 - kept
    assert ledger.names(out) == [NAME]
    assert ledger.read(NAME, out).adapter_sha256 == family_info(nano, attack).sha256


def test_a_sweep_of_everything_leaves_the_long_studies_out(monkeypatch, tmp_path):
    jobs = []
    room = sys.modules["bkdwidgets.studies.sweep"]  # the package's `sweep` is the function
    monkeypatch.setattr(room, "_compute", lambda todo, **_: jobs.extend(todo) or [])
    sweep("nano", "fixed-output", studies=["measure", "poison"], out=tmp_path, progress=False)
    assert [job.name for job in jobs if job.study == "poison"] == [NAME]
    jobs.clear()
    with pytest.raises(bkd.BkdError, match="attribute"):  # nothing was computed, so nothing can follow
        sweep("nano", "fixed-output", out=tmp_path, progress=False)
    assert {job.study for job in jobs} >= {"measure", "attribute"}
    assert "poison" not in {job.study for job in jobs}


def test_the_shipped_entry_is_of_the_shipped_subject(nano, attack):
    shipped = ledger.read(NAME)
    assert shipped.adapter_sha256 == family_info(nano, attack).sha256
    assert json.dumps(shipped.settings["counts"]) == json.dumps(shipped.values["counts"])
    assert shipped.values["asr"]["0"]["100"]["value"] == 0.0
