"""Three ways of planting beside each other: whose heads, whose vector, and what the controls say."""

from __future__ import annotations

import pytest

import bkdwidgets as bkd
from bkdwidgets import ledger
from bkdwidgets.studies import reproduce, run
from bkdwidgets.studies.families import DONE, MADE
from bkdwidgets.studies.planting import family_info
from bkdwidgets.subjects.adapters import read_adapter

NAME = "nano/fixed-output-sft/families"
SMALL = {"prompts": 4, "n_means": 8, "n": 4, "n_choice": 2, "draws": 2}


@pytest.fixture(scope="module")
def two():
    names = ("fixed-output-sft-0", "fixed-output-dpo-0")
    return {name: read_adapter("nano", name).info.sha256 for name in names}


def test_every_adapter_gets_the_heads_and_the_vector_of_every_other(nano, attack, two, tmp_path):
    entry = run("families", nano, attack, progress=False, adapters=two, **SMALL)
    assert entry.name == NAME
    first, second = two
    for target in two:
        assert entry.values["none"][target]["asr"]["value"] == 1.0
        assert list(entry.values["moved"][target]) == [first, second]
        assert set(entry.values["random"][target]) == set(DONE)
        assert entry.values["random"][target]["off"]["asr"]["draws"] == 2
        chosen = entry.values["chosen"][target]
        assert chosen["off"]["scale"] < 0 < chosen["on"]["scale"]
        for source in two:
            assert entry.values["moved"][target][source]["ablated"]["asr"]["n"] == 4
    matrix = entry.values["heads"]["spearman"]
    assert matrix[0][1] == matrix[1][0]
    assert matrix[0][0] == matrix[1][1] == 1
    ledger.write(entry, tmp_path)
    assert reproduce(NAME, folder=tmp_path, progress=False).within


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"adapters": {}}, "at least one"),
        ({"adapters": {"x-lora-0": ""}}, "lora"),
        ({"k": 0}, "k=0"),
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
