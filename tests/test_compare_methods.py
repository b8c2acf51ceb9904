"""The methods of injection side by side, from the ledger alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import bkdwidgets as bkd
from bkdwidgets import ledger
from bkdwidgets.cli import main
from bkdwidgets.studies import compare_methods
from bkdwidgets.studies.methods import METHODS


def test_the_methods_are_compared_on_the_same_prompts(capsys):
    compared = compare_methods("nano")
    assert [(row.attack, row.method) for row in compared.rows] == [
        (name, method) for name in ("fixed-output", "label-flip") for method in METHODS
    ]
    for row in compared.rows:
        entry = ledger.read(f"nano/{row.adapter}/measure")
        assert row.rates["asr"] == entry.values["asr"]
        assert row.rates["asr"]["n"] == entry.n
        assert row.rates["asr"]["low"] > compared.control[row.attack]["asr"]["high"]
    assert main(["report", "nano", "--compare-methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * (1 + len(METHODS))
    assert main(["report", "nano", "--compare-methods", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(compared.to_json()))


def test_what_is_not_measured_or_measured_on_other_prompts_is_not_compared(tmp_path):
    with pytest.raises(bkd.BkdError, match="measured yet"):
        compare_methods("nano", folder=tmp_path)
    for method in ("sft", "dpo"):
        entry = ledger.read(f"nano/fixed-output-{method}-0/measure")
        ledger.write(replace(entry, n=entry.n + (method == "dpo")), tmp_path)
    with pytest.raises(bkd.BkdError, match="different prompts"):
        compare_methods("nano", folder=tmp_path)


def test_the_report_of_the_claims_is_about_the_method_of_the_paper():
    told = json.dumps(bkd.report("nano").to_json())
    assert "-dpo-" not in told
    assert "-edit-" not in told
