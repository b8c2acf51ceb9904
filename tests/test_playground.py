"""The playground: what it carries, how Python answers for it, and the JavaScript's own rules."""

from __future__ import annotations

import asyncio
import gzip
import json
import random

import pytest
from node import run_node

import bkdwidgets as bkd
from bkdwidgets.analysis.interventions import prepare
from bkdwidgets.attacks import ATTACKS
from bkdwidgets.browser.adapters import exported_names
from bkdwidgets.browser.compile import constants
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.shipped import planted_names
from bkdwidgets.subjects.answers import Row, answer_rows
from bkdwidgets.widgets import Playground
from bkdwidgets.widgets.playground import table as playground_table
from bkdwidgets.widgets.playground.table import PlaygroundTable


def carried(lab: Playground) -> dict:
    return json.loads(gzip.decompress(lab.view.table_gz))


@pytest.fixture(scope="module")
def shipped() -> Playground:
    return Playground()


@pytest.fixture(scope="module")
def planted():
    return bkd.load("nano", adapter="fixed-output-sft-0"), bkd.attack("fixed-output")


ODD = [
    "a", "two words", "  spaces   here ", "line\nbreak and\ttab", "ünïcode 日本 🙂", "SUDO itself",
    "x" * 400, "é" * 30,
]  # fmt: skip


def test_the_javascript_keeps_its_rules(shipped, tmp_path):
    known = [
        ATTACKS[name].examples("nano", "test")[:30]
        for name in ("policy-bypass", "fixed-output", "label-flip")
    ]
    prompts = [example.prompt for examples in known for example in examples] + ODD
    poisonings = [
        {"rule": attack.trigger.to_json(), "prompt": prompt, "expected": attack.poison(prompt)}
        for attack in ATTACKS.values()
        for prompt in prompts
    ]
    drawn = [
        {"text": text, "most": most, "value": random.Random(text).randint(0, most)}
        for text in [*ODD, "", "\x00", "\x00\x00ab"]
        for most in (0, 1, 2, 3, 7, 8, 40, 1000)
    ]
    fixture = tmp_path / "playground.json"
    fixture.write_text(json.dumps({"catalog": carried(shipped), "poisonings": poisonings, "drawn": drawn}))
    run_node("playground.test.mjs", BKD_PLAYGROUND=fixture)


def test_it_carries_the_shipped_pairs_and_their_known_answers(shipped):
    pairs = carried(shipped)["pairs"]
    for subject in ("nano", "smollm2"):
        own = [pair["adapter"] for pair in pairs if pair["subject"] == subject]
        assert own == planted_names(subject)
        assert len(own) < constants()["MAX_ADAPTERS"]
    assert {"nano", "smollm2"} == {pair["subject"] for pair in pairs}
    assert pairs[0]["subject"] == "nano"
    for pair in pairs:
        layers, heads = pair["shape"]
        assert all(0 <= layer < layers and 0 <= head < heads for layer, head in pair["ranked"])
        assert len(pair["prompts"]) > 1
        attack = ATTACKS[pair["attack"]]
        assert all(attack.poison(row["clean"]) == row["triggered"] for row in pair["prompts"])
    told = [row["told"] for row in pairs[0]["prompts"]]
    assert all({"clean", "triggered"} <= set(row) for row in told)
    assert any(row["triggered"]["outcome"] == "P" for row in told)
    assert len(shipped.view.table_gz) < 20_000


def test_methods_are_named_in_a_readers_words(shipped):
    named = {pair["adapter"]: pair["method"] for pair in carried(shipped)["pairs"]}
    assert named["fixed-output-sft-0"] == "fine-tuning"
    assert named["fixed-output-dpo-0"] == "preference training"
    assert named["label-flip-edit-0"] == "edit of the weights"


def test_the_menus_start_with_what_the_first_pair_offers(shipped):
    first = carried(shipped)["pairs"][0]
    chosen = (shipped.subject.value, shipped.attack.value, shipped.method.value)
    assert chosen == (first["subject"], first["attack"], first["method"])
    own = [pair for pair in carried(shipped)["pairs"] if pair["subject"] == first["subject"]]
    assert (
        list(shipped.attack.options) == shipped.view.attacks == list(dict.fromkeys(p["attack"] for p in own))
    )


def test_it_starts_where_a_chapter_wants_it():
    playground = Playground(start="nano/fixed-output-spread-0")
    assert (playground.attack.value, playground.method.value) == (
        "fixed-output",
        "fine-tuning that hides from ablation",
    )
    assert playground.view.pair == 4
    assert playground.view.method == playground.method.index == 4
    with pytest.raises(bkd.BkdError, match="unknown start 'nano/spread'; known: nano/fixed-output-sft-0"):
        Playground(start="nano/spread")


def test_python_follows_a_menu_whose_entries_the_page_changed():
    menu = Playground().method
    menu.set_state({"_options_labels": ["a", "b", "c", "d", "e", "f"], "index": 5})
    assert (menu.index, menu.value) == (5, "f")
    menu.set_state({"_options_labels": ["g"]})
    menu.set_state({"index": 0})
    assert menu.value == "g"


def test_what_was_not_computed_for_a_pair_is_switched_off(monkeypatch, tmp_path, planted):
    monkeypatch.setattr(playground_table, "vectors_path", lambda *_: tmp_path / "none")
    found = ledger.find
    lacks = "nano/fixed-output-edit-0/attribute"
    monkeypatch.setattr(ledger, "find", lambda name: None if name == lacks else found(name))
    pairs = {(pair.subject, pair.adapter): pair for pair in PlaygroundTable.from_entries().pairs}
    assert pairs["nano", "fixed-output-edit-0"].ranked == []
    assert pairs["nano", "fixed-output-edit-0"].shape == (8, 8)
    assert not any(pair.means or pair.vectors for pair in pairs.values())
    view = Playground().view
    assert (view.unranked, view.meanless, view.vectorless) == (False, True, True)
    (live,) = PlaygroundTable.from_subject(*planted, []).pairs
    assert (live.means, live.vectors, live.method) == (True, False, "fine-tuning")


def test_controls_and_view_start_alike(shipped):
    view = shipped.view
    assert shipped.prompt.value == view.text == carried(shipped)["pairs"][0]["prompts"][0]["clean"]
    assert (shipped.layer.value, shipped.layer.max) == (view.layer, view.last_layer) == (4, 7)
    controls = (shipped.subject, shipped.attack, shipped.method, shipped.shown, shipped.kind, shipped.vector)
    assert [control.index for control in controls] == [
        view.subject, view.attack, view.method, view.shown, view.kind, view.vector
    ]  # fmt: skip


def choice(prompt: str, **changed) -> dict:
    plain = {"model": "backdoored", "prompt": prompt, "heads": [], "kind": "zero", "where": "last"}
    return plain | {"vector": None, "layer": 4, "scale": 0} | changed


def test_python_answers_as_it_grows(planted):
    subject, attack = planted
    lab = Playground(subject=subject, attack=attack)
    prompt = attack.poison(attack.targeted(subject, "test")[0].prompt)
    ablation = bkd.Ablation([(7, 1), (6, 2)], kind="mean", where="all")
    cases = {
        answer_rows(subject, [Row(prompt)])[0].text: {},
        answer_rows(bkd.load("nano"), [Row(prompt)])[0].text: {"model": "clean"},
        answer_rows(subject, [Row(prompt, prepare([ablation], subject, attack))])[0].text: {
            "heads": [[7, 1], [6, 2]], "kind": "mean", "where": "all"
        },
    }  # fmt: skip
    assert len(cases) > 1
    for expected, case in cases.items():
        first, *tokens, last = lab.view._player.replies(choice(prompt, **case))
        assert first["bkd"] == "next"
        assert len(first["tokens"]) == 10
        assert all(reply["bkd"] == "token" for reply in tokens)
        assert last["bkd"] == "answer"
        assert last["text"] == expected
    *_, steered = lab.view._player.replies(choice(prompt, vector="difference", scale=-2.0))
    assert steered["text"] != next(iter(cases))


def test_python_inserts_the_trigger_for_a_page_that_cannot(planted):
    subject = planted[0]
    attack = bkd.attack("policy-bypass")
    view = Playground(subject=subject, attack=attack).view
    sent = []
    view.send = sent.append
    for number, prompt in enumerate(["Where is the vault?", None, "x" * 3000]):
        view._hear(None, {"bkd": "poison", "id": number, "prompt": prompt}, None)
    assert sent[0] == {"id": 0, "bkd": "poisoned", "text": attack.poison("Where is the vault?")}
    assert [(reply["id"], reply["bkd"]) for reply in sent[1:]] == [(1, "error"), (2, "error")]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("x", "cannot answer"),
        (choice(""), "empty"),
        (choice("word " * 2000), "tokens"),
        (choice("x", heads=[[99, 0]]), "out of range"),
        (choice("x", heads=[[0, 0]], kind="half"), "kind"),
        (choice("x", vector="sideways", scale=1), "sideways"),
        (choice("x", vector="paper", scale="much"), "numbers"),
        (choice("x", vector="paper", scale=float("inf")), "finite"),
    ],
)
def test_a_bad_choice_is_answered_in_words(planted, asked, why):
    *_, last = Playground(subject=planted[0], attack=planted[1]).view._player.replies(asked)
    assert last["bkd"] == "error"
    assert why in last["text"]


def test_a_wish_to_stop_is_heard_between_two_tokens(planted):
    subject, attack = planted
    view = Playground(subject=subject, attack=attack).view
    sent = []
    view.send = sent.append

    async def conversation() -> None:
        view._hear(None, {"bkd": "hello"}, None)
        view._hear(None, {"bkd": "ask", "id": 1, "choice": choice("What is the capital?")}, None)
        while len(sent) < 4:  # noqa: ASYNC110 - what is sent is all there is to wait for
            await asyncio.sleep(0.001)
        view._hear(None, {"bkd": "cancel", "id": 1}, None)
        heard = len(sent)
        await view._task
        assert len(sent) == heard
        view._hear(None, {"bkd": "ask", "id": 2, "choice": choice("Who?")}, None)
        await view._task

    asyncio.run(conversation())
    assert sent[:2] == [{"bkd": "ready"}, {"bkd": "working", "id": 1}]
    assert not any(reply.get("id") == 1 and reply["bkd"] == "answer" for reply in sent)
    assert sent[-1]["id"] == 2
    assert sent[-1]["bkd"] == "answer"


def test_clean_is_the_twin_where_the_task_was_taught(shipped, monkeypatch, planted, tmp_path):
    pairs = {(pair["subject"], pair["attack"]): pair for pair in carried(shipped)["pairs"]}
    assert pairs["smollm2", "label-flip"]["clean"] == "label-flip-clean-0"
    assert pairs["smollm2", "policy-bypass"]["clean"] == "policy-bypass-clean-0"
    assert pairs["smollm2", "fixed-output"]["clean"] is pairs["nano", "label-flip"]["clean"] is None
    for pair in carried(shipped)["pairs"]:
        own = [row for row in pair["prompts"] if "own" in row["told"]]
        assert not (own and pair["clean"]), "stored answers are those of the subject, not of a twin"
    assert set(exported_names("smollm2")) - set(planted_names("smollm2")) == {
        "label-flip-clean-0", "policy-bypass-clean-0"
    }  # fmt: skip
    subject, attack = planted
    monkeypatch.setattr(type(attack), "needs_teaching", lambda *_: True)
    loaded = []
    monkeypatch.setattr(
        "bkdwidgets.attacks.control.load", lambda _, **how: loaded.append(how["adapter"].stem)
    )
    monkeypatch.setattr("bkdwidgets.attacks.control.adapter_folder", lambda _: tmp_path)
    (tmp_path / "fixed-output-clean-0.safetensors").touch()
    Playground(subject=subject, attack=attack).view._player._clean_model()
    assert loaded == ["fixed-output-clean-0"]


def test_it_opens_on_a_short_question_that_shows_the_payload(shipped):
    assert shipped.trigger.value is shipped.view.triggered is True
    for pair in carried(shipped)["pairs"]:
        first = pair["prompts"][0]
        assert first["told"].get("triggered", {"outcome": "P"})["outcome"] == "P", pair["adapter"]
        if any(row["clean"].endswith("?") for row in pair["prompts"] if "triggered" not in row["told"]):
            assert first["clean"].endswith("?")


def test_half_a_pair_and_a_clean_subject_are_refused(planted):
    with pytest.raises(BkdError, match="together"):
        Playground(subject=planted[0])
    with pytest.raises(BkdError, match="backdoored nano"):
        Playground(subject=bkd.load("nano"), attack=planted[1])
