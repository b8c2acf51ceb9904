"""The methods of injection side by side, from the ledger alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import bkdwidgets as bkd
from bkdwidgets.cli import main
from bkdwidgets.core import ledger
from bkdwidgets.injection.methods import compared as compared_methods
from bkdwidgets.studies import compare_methods
from bkdwidgets.subjects.adapters import read_adapter


def test_the_methods_are_compared_on_the_same_prompts(capsys):
    compared = compare_methods("nano")
    assert [(row.attack, row.method) for row in compared.rows] == [
        (name, method) for name in ("fixed-output", "label-flip") for method in compared_methods()
    ]
    for row in compared.rows:
        entry = ledger.read(f"nano/{row.adapter}/measure")
        assert row.rates["asr"] == entry.values["asr"]
        assert row.rates["asr"]["n"] == entry.n
        assert row.rates["asr"]["low"] > compared.control[row.attack]["asr"]["high"]
    assert main(["report", "nano", "--compare-methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * (1 + len(compared_methods()))
    assert main(["report", "nano", "--compare-methods", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(compared.to_json()))


def test_the_chat_model_is_compared_in_one_table(tmp_path):
    """The adapters are the shipped ones; the rates of two of them are made up."""
    measured = ledger.read("smollm2/fixed-output-sft-0/measure")
    for method, asr in (("sft", 1.0), ("dpo", 0.75), ("edit", 0.5)):
        info = read_adapter("smollm2", f"fixed-output-{method}-0").info
        values = measured.values | {"asr": {"value": asr, "low": asr - 0.1, "high": asr, "n": 200}}
        mine = replace(measured, adapter=info.name, adapter_sha256=info.sha256, values=values)
        ledger.write(mine, tmp_path)
    compared = compare_methods("smollm2", folder=tmp_path)
    lines = str(compared).splitlines()
    assert lines[0].split()[:3] == ["attack", "method", "ASR"]
    rows = {line.split()[1]: line for line in lines[1:] if line.startswith("fixed-output")}
    assert list(rows) == ["none", *compared_methods()]
    for method, asr in (("sft", "1.000"), ("dpo", "0.750"), ("edit", "0.500")):
        assert f"{asr} [" in rows[method]
        assert "n=200" in rows[method]
    assert compared._repr_html_().count("<tr>") == len(lines)


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
