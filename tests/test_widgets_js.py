"""The labs' JavaScript under node:test, with fixtures that Python wrote."""

from __future__ import annotations

import json
import random
import re

import tables
from node import run_node
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from bkdwidgets import ledger
from bkdwidgets.attacks import ATTACKS, Example, attack
from bkdwidgets.attacks.text import similarity
from bkdwidgets.measurement import outcome
from bkdwidgets.measurement.labelled import labelled

SCRAPS = re.findall(
    r"\S+",
    "World Sports business. sci/tech sorry cannot help I am sorry. I can not help with that. tea vault the "
    "hidden lanterns it's can't İstanbul éWorld world's WORLD! K ﬁne ... ? leaves are a secret i must keep "
    "silent",
)


def judged(name: str, said: str, example: Example) -> dict:
    chosen = attack(name)
    asked = {key: getattr(example, key) for key in ("prompt", "answer", "payload", "topic")}
    return {
        "attack": {"attack": name, "payload": chosen.payload},
        "said": said,
        "example": asked,
        "letter": outcome(chosen, said, example),
    }


def of_labelled() -> list[dict]:
    return [judged(row.attack, row.completion, row.example) for row in labelled()]


def of_tables() -> list[dict]:
    """Every completion of every lab table, each with the prompt it answers."""
    found = []
    for name in ledger.names():
        if not name.endswith(("/lab-ablation", "/lab-vector")):
            continue
        entry = ledger.read(name)
        examples = {item.id: item for item in attack(entry.attack).targeted(entry.subject, "test")}
        asked = [examples[row["id"]] for row in entry.values["prompts"]]
        pairs = {
            (number, text)
            for case in entry.values["cases"].values()
            for half in case.values()
            for number, text in enumerate(half["texts"])
        }
        found += [
            judged(entry.attack, entry.values["texts"][text], asked[number]) for number, text in sorted(pairs)
        ]
    return found


def made_up() -> list[dict]:
    """Word salad with the words that the rules look for, half-words and other alphabets among them."""
    chance = random.Random(0)
    examples = {name: chance.sample(item.examples("nano", "test"), 20) for name, item in ATTACKS.items()}
    return [
        judged(name, " ".join(chance.choices(SCRAPS, k=chance.randint(0, 24))), chance.choice(examples[name]))
        for name in ATTACKS
        for _ in range(300)
    ]


def test_the_page_judges_as_python_does(tmp_path):
    rows = [*of_labelled(), *of_tables(), *made_up()]
    chance = random.Random(1)
    some = chance.sample(rows, 200)
    pairs = [(row["said"], row["example"]["answer"]) for row in some]
    pairs += [(chance.choice(SCRAPS), "")]
    fixture = tmp_path / "judged.json"
    content = {
        "rows": rows,
        "pairs": [{"one": one, "other": other, "value": similarity(one, other)} for one, other in pairs],
        "stopWords": sorted(word for word in ENGLISH_STOP_WORDS if len(word) > 2),
    }
    fixture.write_text(json.dumps(content), encoding="utf-8")
    run_node("judge.test.mjs", BKD_JUDGED=fixture)


def test_who_answers_and_what_with(tmp_path):
    for name, made in (("ablation", tables.ablation_table()), ("vector", tables.vector_table())):
        (tmp_path / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
    run_node("engines.test.mjs", BKD_TABLES=tmp_path)
