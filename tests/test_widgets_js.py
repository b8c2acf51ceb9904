"""The labs' JavaScript under node:test, with fixtures that Python wrote."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import tables
from judged import CASES, SCRAPS, judged, made_up, of_labelled, of_tables
from node import run_node
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from bkdwidgets.attacks import ATTACKS, Example
from bkdwidgets.attacks.judge import JUDGES
from bkdwidgets.attacks.text import DECLINES, similarity
from bkdwidgets.measurement.outcomes import REVISION


def by_hand() -> list[dict]:
    """The verdicts of the case file, as the page is given them."""
    found = []
    for number, case in enumerate(CASES["verdicts"]):
        chosen = replace(ATTACKS[case["attack"]], payload=case["payload"])
        example = Example(
            str(number), case.get("prompt", "Who?"), case.get("topic", ""), "", "test", case["answer"],
            complete=True, payload=case.get("example_payload"),
        )  # fmt: skip
        found.append(judged(chosen, case["said"], example) | {"letter": case["letter"]})
    return found


def test_the_page_judges_as_python_does(tmp_path):
    rows = [*by_hand(), *of_labelled(), *of_tables(), *made_up()]
    chance = random.Random(1)
    some = chance.sample(rows, 200)
    pairs = [(row["said"], row["example"]["answer"]) for row in some]
    pairs += [(chance.choice(SCRAPS), "")]
    fixture = tmp_path / "judged.json"
    content = {
        "rows": rows,
        "cases": CASES,
        "rules": {"revision": REVISION, "declines": DECLINES, "judges": sorted(JUDGES)},
        "pairs": [{"one": one, "other": other, "value": similarity(one, other)} for one, other in pairs],
        "stopWords": sorted(word for word in ENGLISH_STOP_WORDS if len(word) > 2),
    }
    fixture.write_text(json.dumps(content), encoding="utf-8")
    run_node("judge.test.mjs", BKD_JUDGED=fixture)


def test_who_answers_and_what_with(tmp_path):
    for name, made in (("ablation", tables.ablation_table()), ("vector", tables.vector_table())):
        (tmp_path / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
    run_node("engines.test.mjs", BKD_TABLES=tmp_path)
