"""A method of injection is one file: nothing else has to know it."""

from __future__ import annotations

import sys
from dataclasses import asdict

import pytest

import bkdwidgets as bkd
from bkdwidgets import injection
from bkdwidgets.cli import main
from bkdwidgets.injection.methods import compared, method_named, methods, plants, recipe_for, words

FILE = '''
"""Fine-tuning whose update is turned up afterwards."""

from dataclasses import dataclass

from bkdwidgets.injection.method import Method
from bkdwidgets.injection.recipes import SftRecipe
from bkdwidgets.injection.sft import train_lora


@dataclass(frozen=True)
class LoudRecipe(SftRecipe):
    times: float = 2.0


def train(subject, attack, *, recipe, **options):
    tensors, log = train_lora(subject, attack, recipe=recipe, **options)
    return tensors, log | {"loud": True}


LOUD = Method(
    "loud", "loud fine-tuning", LoudRecipe,
    default=lambda subject, attack: LoudRecipe(steps=2, batch=2, rank=2, alpha=4, poison_rate=0.5),
    train=train,
    scale=lambda recipe: recipe.times * recipe.alpha / recipe.rank,
)
'''


@pytest.fixture
def loud(tmp_path, monkeypatch):
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms/loud.py").write_text(FILE, encoding="utf-8")
    monkeypatch.setattr(injection, "__path__", [*injection.__path__, str(tmp_path / "rooms")])
    methods.cache_clear()
    yield "loud"
    sys.modules.pop("bkdwidgets.injection.loud", None)
    methods.cache_clear()


def test_a_method_is_one_file(loud, nano, attack, tmp_path, capsys):
    assert list(methods()) == ["sft", "dpo", "edit", "loud", "match", "spread", "clean"]
    assert words(loud) == "loud fine-tuning"
    assert plants(loud)
    assert loud in compared()
    planted = bkd.inject(nano, attack, method=loud, out=tmp_path, progress=False)
    info = planted.adapter
    assert (info.name, info.method, info.scale) == ("fixed-output-loud-0", "loud", 4.0)
    assert info.recipe == asdict(recipe_for("nano", "fixed-output", loud))
    assert info.recipe["times"] == 2.0
    assert info.log["loud"]
    command = ["inject", "nano", "fixed-output", "--method", "loud", "-n", "2", "--json"]
    assert main([*command, "--out", str(tmp_path), "--seeds", "0-1"]) == 0
    assert "was_there" in capsys.readouterr().out, "seed 0 was planted with the same settings"
    assert bkd.measure(planted, attack, n=2, progress=False).adapter == "fixed-output-loud-0"


def test_a_method_that_is_gone_is_refused_and_its_adapters_keep_their_name(nano, attack, tmp_path, capsys):
    with pytest.raises(bkd.BkdError, match="unknown method 'loud'; known: sft, dpo, edit, match"):
        bkd.inject(nano, attack, method="loud", out=tmp_path, progress=False)
    assert main(["inject", "nano", "fixed-output", "--method", "loud"]) == 2
    assert "known: sft, dpo" in capsys.readouterr().err
    assert words("loud") == "loud"
    assert plants("loud")


def test_only_the_clean_twin_plants_nothing_and_only_an_edit_is_put_onto_its_start():
    assert [name for name in methods() if not plants(name)] == ["clean"]
    assert [name for name, item in methods().items() if item.onto] == ["edit"]
    assert compared() == ["sft", "dpo", "edit"]
    twin = method_named("clean")
    assert twin.default("nano", "fixed-output").poison_rate == 0.0
    assert twin.adjust(recipe_for("nano", "fixed-output")).poison_rate == 0.0
