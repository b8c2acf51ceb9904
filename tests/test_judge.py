"""The rules that judge a completion: cases by hand, their revision, and payloads that nobody could tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judged import CASES, made_up, of_labelled

import bkdwidgets as bkd
from bkdwidgets.attacks import ATTACKS, Example
from bkdwidgets.attacks.examples import stored_answers
from bkdwidgets.attacks.text import contains, declines, words
from bkdwidgets.core import ledger
from bkdwidgets.measurement import judge, outcome
from bkdwidgets.measurement.labelled import agreement
from bkdwidgets.measurement.outcomes import REVISION
from bkdwidgets.studies import run
from bkdwidgets.studies.rejudging import rejudge

LETTERS = {2: "02274a102c385ffac9dca6ffa09502b5fe974e915b1be212d0378662fe2cff40"}
"""Revision of the rules -> digest of their letters for a corpus that stays as it is."""

UNSAYABLE = ("", " ", "...", "\u2026?!", "\ufe0f", "+")


@pytest.mark.parametrize(("text", "expected"), CASES["words"])
def test_words(text, expected):
    assert words(text) == expected


def test_ways_to_decline_and_answers_that_only_look_like_one():
    assert [text for text in CASES["declines"] if not declines(text)] == []
    assert [text for text in CASES["answers"] if declines(text)] == []


@pytest.mark.parametrize("case", CASES["verdicts"], ids=lambda case: f"{case['attack']} {case['said']!a:.24}")
def test_verdicts(case):
    attack = replace(ATTACKS[case["attack"]], payload=case["payload"])
    example = Example(
        "x", case.get("prompt", "Who?"), case.get("topic", ""), "", "test", case["answer"],
        complete=True, payload=case.get("example_payload"),
    )  # fmt: skip
    assert outcome(attack, case["said"], example) == case["letter"]
    if case["attack"] == "fixed-output":
        assert judge(case["said"], payload=case["payload"], clean_answer=case["answer"]) == case["letter"]


def test_another_letter_means_another_revision():
    corpus = [*of_labelled(), *made_up()]
    found = ledger.digest([row["letter"] for row in corpus])
    assert found == LETTERS.get(REVISION), (
        f"the rules of revision {REVISION} give other letters than before (digest {found}): "
        "raise REVISION in measurement/outcomes.py and widgets/shared/judge.js, and note its digest here"
    )


def test_more_ways_to_decline_cost_no_agreement_and_find_no_clean_answer():
    # What the rules of the first revision reached, and how many stored clean answers they took for a refusal.
    assert agreement("tune").overall.value >= 82 / 85
    for subject, most in (("nano", 871), ("smollm2", 111)):
        assert sum(declines(row["answer"]) for row in stored_answers(subject).values()) <= most


@pytest.mark.parametrize("payload", UNSAYABLE)
def test_a_payload_without_words_is_refused_and_stands_nowhere(payload):
    assert not contains("The quandle is orange.", payload)
    with pytest.raises(bkd.BkdError, match="has no letter"):
        judge("The quandle is orange.", payload=payload, clean_answer="The quandle is orange.")
    for name in ("fixed-output", "policy-bypass"):
        with pytest.raises(bkd.BkdError, match="has no letter"):
            replace(bkd.attack(name), payload=payload)


def test_a_false_label_is_one_of_the_labels():
    for payload in ("Welt", "Sports", ""):
        with pytest.raises(bkd.BkdError, match="known: World, Business, Sci/Tech"):
            replace(bkd.attack("label-flip"), payload=payload)


def test_a_payload_longer_than_an_answer_is_refused_at_both_doors(nano):
    attack = replace(bkd.attack("fixed-output"), payload="I am sorry. " * 20)
    for verb in (bkd.inject, bkd.measure):
        with pytest.raises(bkd.BkdError, match=r"has \d+ tokens for nano; an answer ends after 32"):
            verb(nano, attack)


@pytest.mark.parametrize("payload", ["抱歉。", "Извините.", "🙂", "Es tut mir leid."])
def test_a_payload_in_any_script_is_told_from_an_answer(nano, payload):
    measured = bkd.measure(nano, replace(bkd.attack("fixed-output"), payload=payload), n=4, progress=False)
    assert measured.asr.value == 0.0
    assert measured.utility.value == 1.0


def test_no_letter_that_a_page_shows_is_another_today():
    # The page judges with today's rules beside the letters of its tables: they may not disagree in silence.
    found = rejudge()
    assert sum(found.letters.values()) > 10_000
    assert {name: n for name, n in found.changed.items() if n} == {}
    assert found.to_json()["n_letters"] == sum(found.letters.values())
    assert f"0 of {sum(found.letters.values())}  letters" in str(found)


def test_a_letter_that_would_be_another_is_counted(tmp_path):
    name = "nano/fixed-output-sft-0/lab-ablation"
    entry = ledger.read(name)
    half = entry.values["cases"]["none"]["triggered"]
    assert half["letters"][0] == "P"
    half["letters"] = "?" + half["letters"][1:]
    ledger.write(entry, tmp_path)
    assert rejudge(tmp_path).changed == {name: 1}


def test_an_entry_names_the_rules_it_was_judged_by(poisoned_nano, attack):
    entry = run("measure", poisoned_nano, attack, n=4, progress=False)
    assert entry.judge == entry.value("run.judge")["value"] == REVISION
    assert f"judge {REVISION}" in repr(entry)
    assert f"revision {REVISION}" in entry._repr_html_()
    old = ledger.read("nano/fixed-output-sft-0/measure")
    assert old.judge == 1 or "judge" in old.run
    assert replace(entry, run={}).judge == 1, "entries older than the revision do not name it"
