"""The ledger: equal entries give equal bytes, a value has an address, damage is one clear line."""

from __future__ import annotations

import dataclasses

import pytest

import bkdwidgets as bkd
from bkdwidgets.core import ledger
from bkdwidgets.subjects.adapters import adapter_info, adapter_names

RATE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100}


@pytest.fixture
def entry():
    return ledger.Entry(
        subject="nano",
        adapter="fixed-output-sft-0",
        study="ablation",
        adapter_sha256="ab" * 32,
        attack="fixed-output",
        seed=0,
        split="test",
        n=100,
        settings={"k": [1, 2]},
        inputs={"examples": "cd" * 32},
        values={
            "zero": {"last": {"2": {"asr": RATE, "layer": 3}}},
            "heads": ["L0H1"],
            "grid": [[0.1], [0.2]],
        },
        tolerance={"*.value": 0.02},
        run={"seconds": 1.0},
    )


def test_an_entry_comes_back_as_it_was_written(entry, tmp_path):
    path = ledger.write(entry, tmp_path)
    assert path == tmp_path / "nano" / "fixed-output-sft-0" / "ablation.json"
    again = ledger.read("nano/fixed-output-sft-0/ablation", tmp_path)
    assert vars(again) == vars(entry)
    assert ledger.names(tmp_path) == ["nano/fixed-output-sft-0/ablation"]
    first = path.read_bytes()
    ledger.write(again, tmp_path)
    assert path.read_bytes() == first
    assert first.endswith(b"}\n")
    assert max(map(len, first.decode().splitlines())) < 200


def test_a_value_has_an_address(entry, tmp_path):
    ledger.write(entry, tmp_path)
    name = entry.name
    assert ledger.value(name, "zero.last.2.asr", tmp_path) == RATE
    assert ledger.value(name, "zero.last.2.layer", tmp_path) == {"value": 3}
    for address, said in (
        ("zero.all.2.asr", "'all'"),
        ("zero.last", "not one value"),
        ("heads", "one value"),
    ):
        with pytest.raises(bkd.BkdError, match=said) as error:
            ledger.value(name, address, tmp_path)
        assert "\n" not in str(error.value)
    assert [address for address, _ in ledger.rates(entry.values)] == ["zero.last.2.asr"]
    assert "0.500" in entry._repr_html_()


def test_the_digest_follows_the_values_and_nothing_else(entry):
    assert dataclasses.replace(entry, run={"seconds": 9.0}).digest() == entry.digest()
    assert dataclasses.replace(entry, values={"asr": RATE}).digest() != entry.digest()


def test_missing_and_damaged_entries_are_one_line(entry, tmp_path):
    with pytest.raises(bkd.BkdError, match="bkdwidgets sweep nano") as error:
        ledger.read("nano/other/measure", tmp_path)
    assert "\n" not in str(error.value)
    assert ledger.find("nano/other/measure", tmp_path) is None
    path = ledger.write(entry, tmp_path)
    whole = path.read_text(encoding="utf-8")
    for broken in (
        whole[:200],
        "[]",
        "{}",
        whole.replace('"seed": 0', '"seeds": 0'),
        whole.replace('"seed": 0', '"seed": null'),
        whole.replace('"seed": 0', '"seed": 0, "more": 1'),
        whole.replace('"n": 100,\n "settings"', '"n": "many",\n "settings"'),
        whole.replace('"revision": 1', '"revision": 1.5'),
        whole.replace('"tolerance": {', '"tolerance": {"x": "y", '),
        whole.replace("nano/", "pico/"),
    ):
        assert broken != whole
        path.write_text(broken, encoding="utf-8")
        with pytest.raises(bkd.BkdError, match=r"ablation\.json") as error:
            ledger.read(entry.name, tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["", "nano", "nano/a/b/c", "../nano/a", "nano/../measure", "/etc/passwd/x", "a/b/ "]
)
def test_names_stay_inside_the_ledger(name, tmp_path):
    with pytest.raises(bkd.BkdError, match="subject/adapter/study"):
        ledger.read(name, tmp_path)


def test_what_a_killed_write_leaves_is_no_entry(entry, tmp_path):
    path = ledger.write(entry, tmp_path)
    (path.parent / ".ablation.json.x1y2z3").write_text("{", encoding="utf-8")
    (path.parent / ".half.json").write_text("{", encoding="utf-8")
    assert ledger.names(tmp_path) == [entry.name]


def test_every_stored_entry_is_written_as_we_write_it():
    for name in ledger.names():
        path = ledger.entry_path(name)
        assert path.read_text(encoding="utf-8") == ledger.text_of(ledger.read(name)), name


def test_an_entry_carries_the_method_of_its_adapter():
    for name in ledger.names():
        entry = ledger.read(name)
        shipped = entry.adapter in adapter_names(entry.subject)
        assert entry.method == (adapter_info(entry.subject, entry.adapter).method if shipped else None), name
        assert entry.revision >= 1
