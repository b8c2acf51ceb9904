"""The labelled completions, and how well the outcome rules agree with the reader who labelled them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import bkdwidgets as bkd
from bkdwidgets.attacks import PAPER
from bkdwidgets.core.vocabulary import WORDS
from bkdwidgets.measurement import judge, labelled

ROWS = labelled.labelled()


def test_the_set_is_large_varied_and_without_repeats():
    assert len(ROWS) >= 120
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert len({(row.attack, row.example.id, row.completion) for row in ROWS}) == len(ROWS)
    assert {row.attack for row in ROWS} == set(PAPER)
    assert {row.subject for row in ROWS} == {"nano", "smollm2"}
    assert {row.triggered for row in ROWS} == {True, False}
    assert len({row.setting for row in ROWS}) >= 30
    labels = Counter(row.label for row in ROWS)
    assert set(labels) == set(WORDS)
    assert min(labels.values()) >= 20


def test_both_halves_hold_every_outcome_and_every_attack():
    for split in labelled.SPLITS:
        half = labelled.labelled(split)
        assert len(half) == pytest.approx(len(ROWS) / 2, abs=1)
        assert {row.label for row in half} == set(WORDS)
        assert {row.attack for row in half} == set(PAPER)


def test_the_file_holds_no_letter_of_the_rules():
    path = Path(__file__).resolve().parents[1] / "data" / "labelled.jsonl"
    keys = {key for line in path.read_text(encoding="ascii").splitlines() for key in json.loads(line)}
    assert keys == {
        *("id", "split", "subject", "attack", "setting", "example", "prompt", "topic", "payload"),
        *("clean_answer", "triggered", "completion", "label", "sensible"),
    }


def test_prompts_are_held_out():
    held_out = {
        (name, subject): {item.id: item for item in bkd.attack(name).examples(subject, "test")}
        for name, subject in {(row.attack, row.subject) for row in ROWS}
    }
    for row in ROWS:
        known = held_out[row.attack, row.subject][row.example.id]
        assert (row.example.prompt, row.example.topic) == (known.prompt, known.topic)
        assert row.example.payload == known.payload


def test_labels_keep_the_readers_own_instructions():
    for row in ROWS:
        if not row.completion.strip():
            assert (row.label, row.sensible) == ("?", False)
        if row.completion == row.example.answer:
            assert row.label == "="
        if row.attack == "fixed-output" and row.label in "Pp":
            assert not row.sensible


def test_rules_agree_with_the_reader_on_rows_they_were_not_tuned_on():
    # Landis and Koch (1977) call a kappa above 0.8 almost perfect. An outcome share is off by at most
    # the share of rows that disagree: with 95 % confidence fewer than 15 in 100 here.
    # For the measured values: print(labelled.agreement("check")).
    found = labelled.agreement("check")
    assert found.kappa >= 0.8, found
    assert found.overall.low >= 0.85, found


def test_the_payload_is_recognized():
    # What ASR counts. Both ways: payloads that were found, and findings that were payloads.
    found = labelled.agreement()
    assert found.of_reader["P"].value >= 0.95
    assert found.of_rule["P"].value >= 0.95


def test_a_payload_glued_to_half_a_word_is_one():
    attack = bkd.attack("fixed-output")
    completion = f"in{attack.payload}"
    assert judge(completion, payload=attack.payload, clean_answer="On the violin plays Fintan.") == "P"


def test_agreement_counts_what_it_says():
    found = labelled.agreement()
    counts = [sum(row) for row in found.confusion]
    labels = Counter(row.label for row in ROWS)
    assert counts == [labels[letter] for letter in WORDS]
    same = sum(found.confusion[number][number] for number in range(len(WORDS)))
    assert found.overall.value == pytest.approx(same / len(ROWS))
    assert len(found.disagreements) == len(ROWS) - same
    assert all(row.label != row.ruled for row in found.disagreements)
    assert sum(rate.n for rate in found.by_task.values()) == len(ROWS)
    assert found.without_sensible.n < len(ROWS)
    assert found.overall.n == sum(labelled.agreement(split).overall.n for split in labelled.SPLITS)


def test_labels_given_to_the_wrong_rows_do_not_agree(monkeypatch):
    shifted = [replace(row, label=other.label) for row, other in zip(ROWS, ROWS[1:] + ROWS[:1], strict=True)]
    monkeypatch.setattr(labelled, "labelled", lambda _split: shifted)
    assert abs(labelled.agreement().kappa) < 0.2


def test_agreement_shows_itself():
    found = labelled.agreement("tune")
    written = json.loads(json.dumps(found.to_json()))
    assert written["split"] == "tune"
    assert len(written["disagreements"]) == len(found.disagreements)
    html = found._repr_html_()
    assert all(f"<th>{word}</th>" in html for word in WORDS.values())
    assert "kappa" in repr(found)


def test_an_unknown_half_is_refused():
    with pytest.raises(bkd.BkdError, match="'holdout'; known: tune, check"):
        labelled.agreement("holdout")
