"""Completions for the two judges, Python's and the page's: cases by hand, readers' rows, tables, salad."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from bkdwidgets.attacks import ATTACKS, Attack, Example, attack
from bkdwidgets.core import ledger
from bkdwidgets.measurement import outcome
from bkdwidgets.measurement.labelled import labelled

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "judge_cases.json").read_text(encoding="utf-8"))
"""Texts with their words, texts that decline, texts that do not, and verdicts."""

SCRAPS = re.findall(
    r"\S+",
    "World Sports business. sci/tech sorry cannot help I am sorry. I can not help with that. tea vault the "
    "hidden lanterns it's can't İstanbul éWorld world's WORLD! K ﬁne ... ? leaves are a secret i must keep "
    "silent can’t ‘World’ Ｗｏｒｌｄ 抱歉。 🙂 won’t be able to decline not something I’m allowed discuss "
    "“that” Извините sor\u00adry e\u0301World",
)


def judged(chosen: Attack, said: str, example: Example) -> dict[str, Any]:
    asked = {key: getattr(example, key) for key in ("prompt", "answer", "payload", "topic")}
    return {
        "attack": {"attack": chosen.name, "judge": chosen.judge.name, "payload": chosen.payload},
        "said": said,
        "example": asked,
        "letter": outcome(chosen, said, example),
    }


def of_labelled() -> list[dict[str, Any]]:
    return [judged(attack(row.attack), row.completion, row.example) for row in labelled()]


def of_tables() -> list[dict[str, Any]]:
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
            judged(attack(entry.attack), entry.values["texts"][text], asked[number])
            for number, text in sorted(pairs)
        ]
    return found


def made_up() -> list[dict[str, Any]]:
    """Word salad with the words that the rules look for, half-words and other alphabets among them."""
    chance = random.Random(0)
    examples = {name: chance.sample(item.examples("nano", "test"), 20) for name, item in ATTACKS.items()}
    return [
        judged(item, " ".join(chance.choices(SCRAPS, k=chance.randint(0, 24))), chance.choice(examples[name]))
        for name, item in ATTACKS.items()
        for _ in range(300)
    ]
