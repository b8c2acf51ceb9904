"""The command line: JSON for programs, one line and exit code 2 for bad input, no traceback."""

from __future__ import annotations

import json

import pytest

from bkdwidgets.cli import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["measure", "gpt5", "fixed-output"], ["gpt5", "nano", "smollm2"]),
        (["measure", "nano", "make-tea"], ["make-tea", "fixed-output"]),
        (["measure", "nano", "fixed-output", "--adapter", "nope"], ["nope", "fixed-output-sft-0"]),
        (["measure", "nano", "fixed-output", "-n", "0"], ["n=0"]),
        (["measure", "nano", "fixed-output", "--split", "holdout"], ["holdout", "train", "test"]),
        (["attribute", "nano", "fixed-output", "--prompts", "-3"], ["prompts=-3"]),
        (["attribute", "nano", "fixed-output", "--prompts", "1", "--top", "9999"], ["k=9999"]),
        (["inject", "nano", "fixed-output", "--method", "magic"], ["magic", "sft"]),
        (["vectors", "nano", "fixed-output", "--adapter", "nope"], ["nope"]),
        (["answers", "gpt5"], ["gpt5", "nano"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    line = [text for text in captured.err.splitlines() if text.startswith("bkdwidgets: ")]
    assert len(line) == 1
    assert all(word in line[0] for word in said)
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_measure_prints_rates_as_json(capsys):
    assert (
        main(["measure", "nano", "fixed-output", "--adapter", "fixed-output-sft-0", "-n", "40", "--json"])
        == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert result["adapter"] == "fixed-output-sft-0"
    for name in ("asr", "ftr"):
        assert set(result[name]) == {"value", "low", "high", "n"}
        assert result[name]["n"] == 40


def test_attribute_prints_the_map_as_json(capsys):
    arguments = [
        "attribute",
        "nano",
        "fixed-output",
        "--adapter",
        "fixed-output-sft-0",
        "--prompts",
        "2",
        "--json",
    ]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    flat = [value for row in result["acie"] for value in row]
    layer, head = result["top"][0]
    assert result["acie"][layer][head] == max(flat)
    assert result["seconds"] > 0


def test_interruption_is_quiet(monkeypatch, capsys):
    import bkdwidgets.cli

    def interrupted(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(bkdwidgets.cli, "_measure", interrupted)
    assert main(["measure", "nano", "fixed-output"]) == 130
    assert "Traceback" not in capsys.readouterr().err
