"""Lab tables hold what the ledger holds, and nothing of their own."""

from __future__ import annotations

import shutil
from typing import get_args

import pytest

from bkdwidgets.analysis.interventions import PLACES
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import data_dir
from bkdwidgets.core.vocabulary import LETTERS, SIDES
from bkdwidgets.widgets import lab_table, read_table
from bkdwidgets.widgets.shared import schema
from bkdwidgets.widgets.shared.schema import packed
from bkdwidgets.widgets.shared.tables import made_tables

ADAPTERS = ("fixed-output-sft-0", "label-flip-sft-0", "policy-bypass-sft-0")
OF_AN_ADAPTER = [lab for lab in made_tables() if lab != "poison"]  # that one is of a family of adapters


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("lab", OF_AN_ADAPTER)
def test_every_lab_of_nano_has_a_table_that_its_widget_accepts(adapter, lab):
    table = lab_table("nano", adapter, lab)
    read = read_table(table, lab=table["lab"])
    assert read.adapter == adapter
    assert read.plain() == table
    assert packed(table) == packed(lab_table("nano", adapter, lab))
    asked = table.get("prompts", []) or table.get("items", [])
    assert asked or lab == "restoration"
    assert all(prompt["clean"] != prompt["triggered"] for prompt in asked)


def test_rates_of_the_ablation_table_are_those_of_the_ledger():
    table = lab_table("nano", "label-flip-sft-0", "ablation")
    entry = ledger.read("nano/label-flip-sft-0/ablation")
    for row in table["top"]:
        address = f"{row['kind']}.{row['where']}.{row['k']}" if row["k"] else "none"
        for rate in ("asr", "as_before", "utility"):
            assert row["rates"][rate] == entry.value(f"{address}.{rate}")
    assert table["acie"] == ledger.read("nano/label-flip-sft-0/attribute").values["acie"]
    assert len(table["top"]) == len(table["kinds"]) * len(table["places"]) * len(table["k"])
    assert "rates" not in table["single"][0]


def test_rates_of_the_vector_table_count_its_letters():
    entry = ledger.read("nano/policy-bypass-sft-0/lab-vector")
    for cell in lab_table("nano", "policy-bypass-sft-0", "vector")["cells"]:
        name = f"{cell['vector']}.{cell['layer']}.{cell['scale']}" if cell["scale"] else "none"
        for side in ("clean", "triggered"):
            letters = entry.values["cases"][name][side]["letters"]
            assert cell["rates"][f"asr_{side}"]["value"] == pytest.approx(
                letters.count("P") / len(letters), abs=1e-4
            )
            assert "".join(letter for _, letter in cell[side]) == letters[: len(cell[side])]


def test_a_table_says_which_entries_it_was_made_of(tmp_path):
    table = lab_table("nano", "fixed-output-sft-0", "ablation")
    for study in ("attribute", "ablation", "lab-ablation"):
        entry = ledger.read(f"nano/fixed-output-sft-0/{study}")
        assert f"{entry.name} ({entry.digest()[:12]})" in table["provenance"]["ledger entries"]
    shutil.copytree(
        data_dir() / "ledger" / "nano" / "fixed-output-sft-0", tmp_path / "nano" / "fixed-output-sft-0"
    )
    (tmp_path / "nano" / "fixed-output-sft-0" / "lab-ablation.json").unlink()
    with pytest.raises(
        BkdError, match="bkdwidgets sweep nano --adapter fixed-output-sft-0 --study lab-ablation"
    ):
        lab_table("nano", "fixed-output-sft-0", "ablation", folder=tmp_path)
    with pytest.raises(BkdError, match="lab 'probe'"):
        lab_table("nano", "fixed-output-sft-0", "probe")


def test_the_types_of_a_table_allow_what_the_package_says():
    assert get_args(schema.Letter) == LETTERS
    assert get_args(schema.Side) == SIDES
    assert get_args(schema.Place) == PLACES


@pytest.mark.parametrize(("name", "kind"), made_tables().items())
def test_a_table_says_where_a_fault_is(name, kind):
    table = lab_table("nano", "fixed-output-sft" if name == "poison" else ADAPTERS[0], name)
    with pytest.raises(BkdError, match="lab table: Object missing required field 'attack'"):
        kind.read({key: value for key, value in table.items() if key != "attack"})
    with pytest.raises(BkdError, match="subject of the lab table: Expected 'str', got 'int'"):
        kind.read(table | {"subject": 3})


def test_lab_entries_were_computed_from_the_entries_that_ship():
    stale = [
        (name, needed)
        for name in ledger.names()
        if name.split("/")[-1].startswith("lab-")
        for needed, digest in ledger.read(name).inputs.items()
        if "/" in needed and ledger.read(needed).digest() != digest
    ]
    assert stale == []
