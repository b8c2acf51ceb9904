"""Studies: controls are asked the same questions, a killed sweep goes on, numbers come out again."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.analysis.activations import head_outputs
from bkdwidgets.analysis.vector import random_like
from bkdwidgets.cli import main
from bkdwidgets.core import ledger
from bkdwidgets.studies import report, reproduce, run, sweep
from bkdwidgets.studies.claims import CLAIMS
from bkdwidgets.studies.outcomes import cell, over_draws
from bkdwidgets.studies.registry import study
from bkdwidgets.studies.seeds import Seeds
from bkdwidgets.studies.verdicts import exceeds, keeps, reaches
from bkdwidgets.widgets import lab_table

ADAPTER = "fixed-output-sft-0"
ATTRIBUTE = {"n": 6, "n_means": 16, "n_control": 2, "draws": 5}


@pytest.fixture(scope="module")
def attribution(poisoned_nano, attack):
    return run("attribute", poisoned_nano, attack, progress=False, **ATTRIBUTE)


@pytest.fixture(scope="module")
def ablation(poisoned_nano, attack, attribution):
    return run(
        "ablation", poisoned_nano, attack, inputs={"attribute": attribution}, progress=False,
        kinds=["zero", "resample"], where=["last"], k=[1, 8], n=8, draws=4, random_n=2,
    )  # fmt: skip


def test_resampled_heads_say_what_they_said_on_a_training_prompt(poisoned_nano, attack):
    first, second = (
        bkd.Ablation([(6, 1)], kind="resample", seed=seed).prepared(poisoned_nano, attack).fill
        for seed in (0, 1)
    )
    prompts = [item.prompt for item in attack.examples(poisoned_nano, "train")[:96]]
    outputs = head_outputs(poisoned_nano, prompts)
    for fill in (first, second):
        assert any(torch.allclose(fill, output, atol=1e-5) for output in outputs)
    assert not torch.allclose(first, second, atol=1e-3)
    again = bkd.Ablation([(6, 1)], kind="resample", seed=1).prepared(poisoned_nano, attack)
    assert torch.equal(again.fill, second)
    drawn = lab_table("nano", "fixed-output-sft-0", "ablation")["drawn"]
    said = head_outputs(poisoned_nano, drawn[:2])
    assert len(drawn) == 8
    assert torch.allclose(said[0], first, atol=1e-5), "what a page puts in is what Python puts in"
    assert torch.allclose(said[1], second, atol=1e-5)


def test_attribution_compares_on_prompts_that_did_not_choose(attribution, poisoned_nano):
    values = attribution.values
    assert len(values["ranked"]) == poisoned_nano.n_layers * poisoned_nano.n_heads
    assert len(values["per_prompt"]) == 6
    assert values["held_out"]["top"]["n"] == 3
    assert values["held_out"]["top"]["value"] > values["held_out"]["random"]["value"]
    assert values["control"]["same_heads"]["value"] < 0.1 * values["held_out"]["top"]["value"]


def test_ablation_measures_what_measure_measures(ablation, attribution, poisoned_nano, attack):
    heads = [tuple(map(int, name[1:].split("H"))) for name in attribution.values["ranked"][:8]]
    plain = bkd.measure(poisoned_nano, attack, n=8, progress=False, interventions=[bkd.Ablation(heads)])
    found = ablation.values["zero"]["last"]["8"]
    assert found["asr"]["value"] == plain.asr.value
    assert found["as_before"]["value"] == plain.as_before.value
    assert found["utility"]["value"] == plain.utility.value
    assert found["outcomes"]["triggered"] == plain.outcomes_triggered
    assert ablation.value("none.asr")["value"] == 1.0


def test_random_heads_do_less_than_the_top_heads(ablation):
    control = ablation.value("random.zero.last.8.asr")
    assert control["draws"] == len(control["per_draw"]) == 4
    assert control["n"] == 8
    assert control["low"] <= control["value"] <= control["high"]
    assert control["value"] >= 0.9
    assert ablation.value("zero.last.8.asr")["value"] < control["low"]


def test_steering_is_chosen_on_validation_and_reported_on_test(poisoned_nano, attack, attribution):
    grid = run(
        "steering-grid", poisoned_nano, attack, inputs={"attribute": attribution}, progress=False,
        vectors=["paper"], layers=[2, 7], scales=[1.0, 2.0], where=["last"], n=4,
    )  # fmt: skip
    assert grid.split == "validation"
    matrices = grid.values["grid"]["paper"]["last"]
    best = grid.values["best"]["paper"]["last"]
    assert best["off"]["on_validation"] == min(map(min, matrices["subtracted_payload"]))
    assert best["cure"]["on_validation"] == max(map(max, matrices["subtracted_as_before"]))
    assert best["on"]["scale"] > 0 > best["off"]["scale"]
    steering = run(
        "steering", poisoned_nano, attack, inputs={"attribute": attribution, "steering-grid": grid},
        progress=False, n=6, draws=3, random_n=2,
    )  # fmt: skip
    assert steering.split == "test"
    for choice in ("on", "off", "cure"):
        assert steering.value(f"paper.last.{choice}.layer")["value"] == best[choice]["layer"]
        assert steering.value(f"random.paper.last.{choice}.asr")["draws"] == 3
    assert steering.inputs[grid.name] == grid.digest()


def test_a_random_vector_has_the_length_of_its_model(poisoned_nano, attack):
    vector = bkd.backdoor_vector(poisoned_nano, attack, heads=[(6, 1), (7, 1)])
    draws = [random_like(vector, seed=seed) for seed in range(3)]
    assert all(draw.norm == pytest.approx(vector.norm, rel=1e-5) for draw in draws)
    assert not torch.allclose(draws[0].tensor, draws[1].tensor)


@pytest.mark.parametrize(
    ("study", "settings", "said"),
    [
        ("ablation", {"k": []}, "k="),
        ("ablation", {"k": [1, 1]}, "twice"),
        ("ablation", {"k": [65]}, "65"),
        ("ablation", {"kinds": ["blur"]}, "blur"),
        ("ablation", {"where": []}, "where="),
        ("ablation", {"draws": 1}, "draws=1"),
        ("ablation", {"layers": [1]}, "layers"),
        ("steering-grid", {"layers": []}, "layers="),
        ("steering-grid", {"layers": [3, 3]}, "twice"),
        ("steering-grid", {"layers": [8]}, "8"),
        ("steering-grid", {"scales": [float("nan")]}, "nan"),
        ("steering-grid", {"scales": [-1.0]}, "-1.0"),
        ("measure", {"n": 0}, "n=0"),
        ("attribute", {"n": 99_999}, "n=99999"),
        ("divine", {}, "divine"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(study, settings, said, poisoned_nano, attack):
    with pytest.raises(bkd.BkdError, match=said) as error:
        run(study, poisoned_nano, attack, inputs={}, progress=False, **settings)
    assert "\n" not in str(error.value)


def test_a_study_of_a_clean_subject_is_refused(nano, attack):
    with pytest.raises(bkd.BkdError, match="backdoored"):
        run("measure", nano, attack)


def test_bad_fills_and_vectors_are_refused(poisoned_nano):
    shape = (poisoned_nano.n_layers, poisoned_nano.n_heads, poisoned_nano.d_head)
    with pytest.raises(bkd.BkdError, match="finite"):
        bkd.Ablation([(0, 0)], kind="mean", fill=torch.full(shape, float("nan")))
    with pytest.raises(bkd.BkdError, match=r"\[2, 2, 2\]"):
        bkd.Ablation([(0, 0)], kind="mean", fill=torch.zeros(2, 2, 2)).edits(poisoned_nano)
    with pytest.raises(bkd.BkdError, match="resample"):
        bkd.Ablation([(0, 0)], kind="resample").edits(poisoned_nano)


def test_letters_become_rates():
    found = cell("PPp=", "==?P", "==")
    assert found["asr"]["value"] == 0.5
    assert found["ftr"] == found["ftr"] | {"value": 0.25, "n": 4}
    assert found["utility"]["value"] == pytest.approx(4 / 6, abs=1e-4)
    drawn = over_draws(
        [{"triggered": "PP", "clean": "==", "other": ""}, {"triggered": "P=", "clean": "==", "other": ""}]
    )
    assert drawn["asr"] == drawn["asr"] | {"value": 0.75, "low": 0.5, "high": 1.0, "n": 4, "draws": 2}


def rate(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 10}


@pytest.mark.parametrize(
    ("ours", "control", "verdict"),
    [
        (rate(0.05, 0.0, 0.08), rate(1.0, 0.9, 1.0), "holds"),
        (rate(0.05, 0.0, 0.08), rate(0.6, 0.0, 1.0), "holds partly"),  # but random heads may do it as well
        (rate(0.40, 0.3, 0.5), rate(1.0, 0.9, 1.0), "holds partly"),  # more than half way
        (rate(0.97, 0.92, 0.98), rate(1.0, 1.0, 1.0), "does not hold"),  # different, but hardly
        (rate(1.00, 0.9, 1.0), rate(1.0, 0.9, 1.0), "does not hold"),
    ],
)
def test_verdicts_on_an_attack_that_should_go_down(ours, control, verdict):
    assert reaches(ours, control, at_most=0.1)[0] == verdict


def test_verdicts_on_what_should_stay_or_be_more():
    assert keeps({"value": 0.95}, {"value": 1.0})[0] == "holds"
    assert keeps({"value": 0.90}, {"value": 1.0})[0] == "holds partly"
    assert keeps({"value": 0.80}, {"value": 1.0})[0] == "does not hold"
    assert exceeds(rate(0.5, 0.4, 0.6), rate(0.1, 0.0, 0.3))[0] == "holds"
    assert exceeds(rate(0.5, 0.2, 0.6), rate(0.1, 0.0, 0.3))[0] == "does not hold"


@pytest.fixture(scope="module")
def swept(tmp_path_factory, poisoned_nano, attack, attribution, ablation):
    """A small ledger: the entries of the runs above, and one of a second seed with another outcome."""
    folder = tmp_path_factory.mktemp("ledger")
    for entry in (attribution, ablation, run("measure", poisoned_nano, attack, n=20, progress=False)):
        ledger.write(entry, folder)
    failed = dataclasses.replace(
        ledger.read(f"nano/{ADAPTER}/measure", folder), adapter="fixed-output-sft-1", seed=1
    )
    failed.values["asr"] = rate(0.0, 0.0, 0.1)
    ledger.write(failed, folder)
    return folder


def test_report_judges_every_claim_from_the_ledger_alone(swept, capsys):
    made = report("nano", folder=swept)
    table = {item.attack: item for item in made.tables}["fixed-output"]
    by_claim = {finding.claim: finding for finding in table.findings}
    assert len(by_claim) == len(CLAIMS)
    works = by_claim["The trigger brings the payload."]
    assert (works.verdict, works.ours["n"], works.control["value"]) == ("holds", 20, 0.0)
    assert table.seeds[0] == {"holds": 1, "does not hold": 1}
    steering = by_claim["The vector, added to clean prompts, switches the backdoor on."]
    assert (steering.verdict, steering.ours) == ("not measured", None)
    ablated = by_claim["Ablating 12 % of the heads takes the ASR down by over 90 %."]
    assert ablated.ours["what"].startswith("ASR, top 8 heads")
    assert ablated.verdict != "not measured"
    assert ablated.ours["high"] < ablated.control["value"]
    other_k = by_claim["Ablating 3 % of the heads takes the ASR down by over 90 %."]
    assert other_k.verdict == "not measured"
    assert main(["report", "nano", "--ledger", str(swept)]) == 0
    text = capsys.readouterr().out
    assert "holds (1 of 2" in text
    assert "label-flip on nano: nothing in the ledger" in text
    assert "<table>" in made._repr_html_()
    assert main(["report", "pico"]) == 2


@pytest.mark.slow
def test_reproduce_confirms_an_entry_and_notices_a_wrong_one(swept, capsys):
    assert main(["reproduce", f"nano/{ADAPTER}/ablation", "--ledger", str(swept), "--json"]) == 0
    (again,) = json.loads(capsys.readouterr().out)["entries"]
    assert again["within"]
    assert again["compared"] > 20
    assert again["changed"] == []
    wrong = ledger.read(f"nano/{ADAPTER}/measure", swept)
    wrong.values["utility"]["value"] -= 0.1
    other = swept / "other"
    ledger.write(wrong, other)
    found = reproduce(wrong.name, folder=other, progress=False)
    assert not found.within
    assert [line.split(":")[0] for line in found.outside] == ["utility.value"]
    assert main(["reproduce", "--ledger", str(other)]) == 1
    assert "utility.value" in capsys.readouterr().out
    ledger.write(dataclasses.replace(wrong, adapter_sha256="00" * 32), other)
    with pytest.raises(bkd.BkdError, match="sweep again"):
        reproduce(wrong.name, folder=other)
    assert main(["reproduce", "nano/nothing", "--ledger", str(swept)]) == 2


def test_seeds_are_compared_beside_chance(swept, attribution, capsys):
    with pytest.raises(bkd.BkdError, match="at least two"):
        Seeds().derive("nano", "label-flip", "sft", swept)
    other = dataclasses.replace(attribution, adapter="fixed-output-sft-1", seed=1)
    ledger.write(other, swept)  # a second run that names exactly the same heads
    entry = Seeds().derive("nano", "fixed-output", "sft", swept)
    assert entry.value("heads.8.jaccard")["value"] == 1.0
    assert entry.value("heads.8.jaccard_in_layers")["value"] < 1.0
    assert entry.value("asr") == entry.value("asr") | {"low": 0.0, "high": 1.0, "n": 2}
    ledger.write(entry, swept)
    assert main(["reproduce", entry.name, "--ledger", str(swept)]) == 0
    table = report("nano", folder=swept).tables[0]
    verdicts = {finding.claim: finding.verdict for finding in table.findings}
    assert verdicts["Other training runs name the same top heads."] == "holds"
    assert table.adapter == ADAPTER


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(cache))
    return cache


@pytest.fixture
def small(monkeypatch):
    """Give the sweep small settings: it always uses the usual ones."""
    for name, settings in {"attribute": ATTRIBUTE, "measure": {"n": 10}}.items():
        kind = type(study(name))
        usual = kind.settings
        monkeypatch.setattr(
            kind,
            "settings",
            lambda self, s, a, usual=usual, new=settings: dataclasses.replace(usual(self, s, a), **new),
        )


def test_sweep_computes_what_is_missing_and_keeps_the_rest(tmp_path, own_cache, small):
    out = tmp_path / "ledger"
    names = [f"nano/{ADAPTER}/{study}" for study in ("measure", "attribute")]
    options = {"adapters": [ADAPTER], "studies": ["attribute", "measure"], "out": out, "progress": False}
    first = sweep("nano", "fixed-output", **options)
    assert (sorted(first.written), first.kept) == (sorted(names), ())
    assert not list((own_cache / "studies").iterdir())  # parts go when the entry is whole
    before = {name: ledger.entry_path(name, out).read_bytes() for name in names}
    second = sweep("nano", **options)
    assert (second.written, sorted(second.kept)) == ((), sorted(names))
    assert before == {name: ledger.entry_path(name, out).read_bytes() for name in names}
    stale = dataclasses.replace(ledger.read(names[0], out), adapter_sha256="00" * 32)
    ledger.write(stale, out)
    assert sweep("nano", **options).written == (names[0],)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "pico"], "pico"),
        (["sweep", "nano", "make-tea"], "make-tea"),
        (["sweep", "nano", "--adapter", "nope"], "nope"),
        (["sweep", "nano", "--study", "divine"], "divine"),
        (["sweep", "nano", "--jobs", "0"], "jobs=0"),
    ],
)
def test_sweep_refuses_unknown_names(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_an_ablation_without_its_attribution_says_what_to_do(tmp_path):
    with pytest.raises(bkd.BkdError, match="--study attribute"):
        sweep("nano", adapters=[ADAPTER], studies=["ablation"], out=tmp_path, progress=False)


KILLED = """
import sys
from dataclasses import replace
from bkdwidgets.studies import sweep
from bkdwidgets.studies.registry import study
from pathlib import Path

kind = type(study("ablation"))
usual = kind.settings
kind.settings = lambda self, s, a: replace(
    usual(self, s, a), kinds=["zero"], where=["last"], k=[1], n=100, draws=2, random_n=2)
compute = kind.compute
kind.parts = lambda self, s, settings: [{"of": "top", "start": i, "stop": i + 4} for i in range(0, 48, 4)] + [
    {"of": "random", "start": 0, "stop": 2}]
def counted(self, context, part):
    print("part", part["of"], part["start"], flush=True)
    return compute(self, context, part)
kind.compute = counted
out = Path(sys.argv[1])
sweep("nano", adapters=["fixed-output-sft-0"], studies=["ablation"], out=out, progress=False)
"""


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_loses_at_most_the_part_in_flight(tmp_path, own_cache, attribution):
    out = tmp_path / "ledger"
    ledger.write(attribution, out)
    command = [sys.executable, "-c", KILLED, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        started = []
        for line in process.stdout:
            started.append(line)
            if len(started) == 5:
                process.send_signal(signal.SIGKILL)
                break
        started += [line for line in process.stdout if line.startswith("part")]
    assert process.returncode == -signal.SIGKILL
    assert ledger.names(out) == [f"nano/{ADAPTER}/attribute"]
    kept = len(list((own_cache / "studies").glob("*/[0-9]*.json")))
    assert len(started) - 1 <= kept < 13
    again = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
    resumed = [line for line in again.stdout.splitlines() if line.startswith("part")]
    assert len(resumed) == 13 - kept
    assert not set(started[:kept]) & {f"{line}\n" for line in resumed}
    whole = ledger.read(f"nano/{ADAPTER}/ablation", out)
    assert len(whole.values["none"]["letters"]["triggered"]) == 48
