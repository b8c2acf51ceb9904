"""The label lab: twenty completions with the rules' letters, labels that a kernel can read, honest rates."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter

import pytest
import tables
from node import run_node
from sklearn.metrics import cohen_kappa_score

import bkdwidgets as bkd
from bkdwidgets.attacks import ATTACKS, PAPER, Attack, attack
from bkdwidgets.attacks.judge import JUDGES
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.statistics import wilson
from bkdwidgets.core.vocabulary import LETTERS
from bkdwidgets.measurement import outcome
from bkdwidgets.widgets import LabelLab, read_table
from bkdwidgets.widgets.labels.table import COUNT

PAIRS = [
    ("smollm2", "fixed-output-sft-0"),
    ("nano", "fixed-output-sft-0"),
    ("nano", "label-flip-sft-0"),
    ("nano", "policy-bypass-sft-0"),
]


@pytest.mark.parametrize(("subject", "adapter"), PAIRS)
def test_the_table_holds_twenty_completions_of_the_ledger(subject, adapter):
    table = bkd.lab_table(subject, adapter, "labels")
    items = table["items"]
    assert len(items) == COUNT
    assert table == bkd.lab_table(subject, adapter, "labels"), "the draw is the same each time"
    spread = Counter(item["condition"] for item in items)
    assert set(spread) == set(range(len(table["conditions"])))
    assert max(spread.values()) - min(spread.values()) <= 1
    order = [item["condition"] for item in items]
    assert order != sorted(order), "conditions are mixed"
    assert len({item["letter"] for item in items}) >= 3
    assert [condition["control"] for condition in table["conditions"]].count(True) == 1


@pytest.mark.parametrize(("subject", "adapter"), PAIRS)
def test_letters_and_counts_are_those_of_the_rules(subject, adapter):
    table = bkd.lab_table(subject, adapter, "labels")
    chosen = attack(table["attack"])
    examples = {item.id: item for item in chosen.targeted(subject, "test")}
    for item in table["items"]:
        example = examples[item["id"].split("/", 1)[1]]
        assert outcome(chosen, item["completion"], example) == item["letter"]
        assert (item["clean"], item["answer"]) == (example.prompt, example.answer)
        assert item["triggered"] == chosen.poison(example.prompt)
    ablation = ledger.read(f"{subject}/{adapter}/ablation").values
    assert table["conditions"][0]["counts"] == ablation["none"]["outcomes"]["triggered"]


def test_the_layers_are_the_best_by_asr_and_by_answers_as_before():
    table = bkd.lab_table("smollm2", "fixed-output-sft-0", "labels")
    cases = ledger.read("smollm2/fixed-output-sft-0/lab-vector").values["cases"]
    found = {item["id"].split("/")[0]: table["conditions"][item["condition"]] for item in table["items"]}
    for kind, rate, best in (("paper", "asr", min), ("difference", "as_before", max)):
        (name,) = (case for case in found if case.startswith(kind))
        every = [
            half["triggered"][rate]["value"]
            for case, half in cases.items()
            if case.startswith(f"{kind}.") and case.endswith(".-1.0")
        ]
        assert cases[name]["triggered"][rate]["value"] == best(every)
        assert found[name]["counts"] == cases[name]["triggered"]["outcomes"]


def test_every_attack_has_a_sentence_for_every_letter():
    for item in ATTACKS.values():
        assert tuple(item.judge.reading) == tuple(item.judge.rules) == LETTERS
    assert {ATTACKS[name].judge for name in PAPER} == set(JUDGES.values())


def test_a_judge_that_nobody_wrote_down_is_no_lab_for_a_reader(monkeypatch):
    class Mine(Attack):
        def fired(self, completion, example):  # noqa: ARG002
            return completion == self.payload

    known = ATTACKS["fixed-output"]
    monkeypatch.setitem(ATTACKS, "fixed-output", Mine(known.name, known.trigger, known.payload))
    with pytest.raises(bkd.BkdError, match="nobody wrote down how a reader judges 'fixed-output'"):
        bkd.lab_table("smollm2", "fixed-output-sft-0", "labels")


def test_labels_can_be_read_and_watched_in_a_kernel():
    lab = LabelLab(tables.labels_table())
    assert lab.labels == {}
    heard = []
    lab.observe(lambda change: heard.append(change["new"]), "labels")
    lab.view.labels = {"case/0": "P"}  # as the page does
    assert lab.labels == {"case/0": "P"}
    assert heard == [{"case/0": "P"}]
    assert lab.shown.index == lab.view.shown == 0
    assert json.loads(gzip.decompress(lab.view.table_gz)) == tables.labels_table()


def changed(change) -> dict:
    table = tables.labels_table()
    change(table)
    return table


WRONG = {
    "no sentence": (lambda t: t["rules"].pop("?"), "rules"),
    "no items": (lambda t: t.update(items=[]), "items"),
    "no counts": (lambda t: t["conditions"][0].update(counts={}), "at least one completion"),
    "a strange count": (lambda t: t["conditions"][0].update(counts={"X": 1}), "keys of conditions.0..counts"),
    "a condition": (lambda t: t["items"][0].update(condition=2), "condition 2"),
    "a letter": (lambda t: t["items"][0].update(letter="!"), "'!'"),
    "no completion": (lambda t: t["items"][1].pop("completion"), r"items\[1\]"),
    "an id twice": (lambda t: t["items"][1].update(id="case/0"), "different ids"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused_in_one_line(name):
    change, message = WRONG[name]
    with pytest.raises(BkdError, match=message) as caught:
        read_table(changed(change), lab="labels")
    assert "\n" not in str(caught.value)


def test_the_code_is_small_and_makes_no_markup():
    view = LabelLab(tables.labels_table()).view
    assert len(view._esm) + len(view._css) < 90_000
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in view._esm


def test_intervals_kappa_and_tallies_are_pythons(tmp_path):
    chance = random.Random(0)
    rows = []
    for n in [1, 2, 5, 20, 20, 20, 60]:
        for skewed in (False, True):
            letters = "PPPPPP=" if skewed else "Pp=?"
            pairs = [[chance.choice(letters), chance.choice(letters)] for _ in range(n)]
            one, other = zip(*pairs, strict=True)
            constant = len(set(one + other)) == 1
            kappa = None if constant else float(cohen_kappa_score(one, other, labels=list(LETTERS)))
            rows.append({"pairs": pairs, "kappa": kappa})
    rates = [vars(wilson(hits, n)) | {"hits": hits} for n in (1, 3, 20, 100) for hits in {0, 1, n // 2, n}]
    table = bkd.lab_table("smollm2", "fixed-output-sft-0", "labels")
    labels = {item["id"]: chance.choice(LETTERS) for item in table["items"][:13]}
    tallies = []
    for number, condition in enumerate(table["conditions"]):
        mine = [item for item in table["items"] if item["condition"] == number and item["id"] in labels]
        told = {"n": len(mine)}
        for name, letter in (("asr", "P"), ("cured", "=")):
            total = sum(condition["counts"].values())
            hers = sum(labels[item["id"]] == letter for item in mine)
            same = sum(item["letter"] == letter for item in mine)
            told[name] = {
                "hers": vars(wilson(hers, len(mine))) if mine else None,
                "same": vars(wilson(same, len(mine))) if mine else None,
                "whole": vars(wilson(condition["counts"][letter], total)),
            }
        tallies.append(told)
    fixture = tmp_path / "labels.json"
    content = {"rows": rows, "rates": rates, "table": table, "labels": labels, "tallies": tallies}
    fixture.write_text(json.dumps(content), encoding="utf-8")
    run_node("labels.test.mjs", BKD_LABELS=fixture)
