"""Every chapter keeps the same contract with its reader; the rules themselves can fail."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml
from contract import INSTALL, KERNEL, RULES, SETUP, SETUP_TEXT, Chapter, n_sentences, read
from typed_numbers import prose

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
KEYS = frozenset(
    re.findall(r"^@\w+\{([\w-]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
)
OWN_FORM = {"turn-by-hand": "a tour of the whole story, which makes no claim of its own"}
"""Chapters with a form of their own -> why."""
CHAPTERS = sorted(path.stem for path in BOOK.glob("*.ipynb") if path.stem not in OWN_FORM)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_keeps_its_contract(name, rule):
    broken = list(RULES[rule](read(BOOK / f"{name}.ipynb", KEYS)))
    doc = RULES[rule].__doc__.splitlines()[0]
    assert not broken, f"{name}, {rule} ({doc}):\n" + "\n".join(f"- {said}" for said in broken)


def test_the_table_of_contents_lists_every_chapter():
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    listed = [item["file"] for part in parts if part["caption"] == "Chapters" for item in part["chapters"]]
    assert sorted(listed) == sorted(f"book/{name}" for name in [*CHAPTERS, *OWN_FORM])


def test_a_chapter_is_named_by_its_link_and_not_by_its_place():
    """An order changes: what was the last chapter is one in the middle now."""
    placed = re.compile(
        r"\b(?:first|second|third|last|next|previous|later|earlier|coming)\s+chapters?\b", re.IGNORECASE
    )
    named = [f"{place}: {found.group(0)}" for place, text in prose(BOOK) for found in placed.finditer(text)]
    assert not named, f"write [Title](file.ipynb): {'; '.join(named)}"


OPENING = """# Probe

**The claim.** A probe finds the trigger in {ledger}`a/b/c:d.0` of the layers.

**The baseline.** A coin.

**The control.** The clean model, e.g. `nano`.

**You will be able to**

- fit one;
- read one;
- doubt one.

**Time:** 30 minutes. **You need:** you can say what a layer is."""

LIMITS = """What follows.

:::{admonition} What this does not show
:class: warning
- One.
- Two.
- Three.
:::"""

PREDICT = """## What it finds

:::{admonition} Predict, then reveal
:class: tip
How many layers?
:::

:::{dropdown} Reveal
All.
:::"""

EXERCISE = """
**{}. More** (easy, 5 minutes). What if?

:::{{dropdown}} Hint
Look.
:::
:::{{dropdown}} Solution
```python
print(1)
```
:::
"""

END = (
    "## Exercises\n"
    + "".join(EXERCISE.format(number) for number in (1, 2, 3, 4))
    + "\n## In five lines\n\n"
    + "- A line.\n" * 5
    + "\n## References\n\n- {cite:t}`yu2025` has the method.\n- {cite:t}`voyer2026` doubts the rate.\n"
)


def good() -> Chapter:
    """Return a chapter that keeps the contract."""
    cells = [
        ("markdown", OPENING, []),
        ("markdown", SETUP_TEXT, []),
        ("code", INSTALL, ["hide-input"]),
        ("code", "\n\n".join(SETUP), []),
        ("markdown", PREDICT, []),
        ("code", 'bkd.figure("a/b/c")', ["signature"]),
        ("markdown", "It shows. Now turn it.", []),
        ("code", "bkd.ProbeView()", ["full-width"]),
        ("markdown", f"{LIMITS}\n\n## Try it yourself\n\nChange a line.", []),
        ("code", "k = 8", []),
        ("markdown", END, []),
    ]
    written = [
        {"cell_type": kind, "id": f"probe-{number:02}", "metadata": {"tags": tags} if tags else {},
         "source": text.splitlines(keepends=True)}
        for number, (kind, text, tags) in enumerate(cells)
    ]  # fmt: skip
    return Chapter("probe", {"nbformat": 4, "nbformat_minor": 5, "metadata": KERNEL, "cells": written}, KEYS)


@pytest.mark.parametrize("rule", RULES)
def test_a_good_chapter_breaks_no_rule(rule):
    assert list(RULES[rule](good())) == []


BREAKS = [
    ("form", 0, "probe-00", {"id": "8f3a9c12"}, "not readable"),
    ("form", 3, "", {"id": "probe-00"}, "twice"),
    ("form", 5, "", {"outputs": [{}]}, "outputs"),
    ("opening", 0, ("# Probe", "Probe"), {}, "'# Title'"),
    ("opening", 0, ("of the layers.", "of the layers. It does." + 4 * " It does."), {}, "6 sentences"),
    ("opening", 0, ("**The baseline.** A coin.\n", ""), {}, "0 paragraphs"),
    ("opening", 0, ("- doubt one.\n", ""), {}, "2 bullets"),
    ("opening", 0, ("30 minutes", "half an hour"), {}, "Time"),
    ("opening", 0, ("**You need:**", "Needed:"), {}, "You need"),
    ("setup", 1, ("nothing", "little"), {}, "second cell"),
    ("setup", 2, ("is None", "is not None"), {}, "install cell"),
    ("setup", 2, None, {"metadata": {}}, "hide-input"),
    ("setup", 3, ("bkd.setup_notebook()", ""), {}, "fourth cell"),
    ("figures", 5, None, {"metadata": {}}, "0 code cells are tagged signature"),
    ("figures", 7, None, {"metadata": {"tags": ["signature"]}}, "not tagged full-width"),
    ("figures", 7, ("ProbeView", "probe"), {}, "no lab"),
    ("predict", 4, ("Predict, then reveal", "Think"), {}, "no ':::"),
    ("predict", 4, ("layers?", "layers."), {}, "asks no question"),
    ("limits", 8, ("- Three.\n", ""), {}, "2 bullets"),
    ("limits", 8, ("warning", "note"), {}, ":class: warning"),
    ("closing", 8, ("## Try it yourself", "## Try"), {}, "last sections"),
    ("try_it", 9, None, {"cell_type": "markdown"}, "0 code cells"),
    ("exercises", 10, ("**4. More**", "**5. More**"), {}, "numbered"),
    ("exercises", 10, ("(easy, 5 minutes)", "(easy)"), {}, "do not begin as"),
    ("exercises", 10, ("{dropdown} Hint", "{dropdown} Help"), {}, "exercise 1"),
    ("exercises", 10, ("print(1)", "print(1"), {}, "python block 1"),
    ("summary", 10, ("- A line.\n", ""), {}, "4 bullets"),
    ("references", 10, ("yu2025", "yu2052"), {}, "'yu2052' is not in"),
    ("references", 10, (" doubts the rate", ""), {}, "why to read it"),
    ("code", 9, ("k = 8", "k = 8\n" * 21), {}, "21 lines"),
    ("code", 9, ("k = 8", "k = " + "8" * 90), {}, "94 characters"),
    ("code", 6, None, {"cell_type": "code"}, "no prose between probe-05 and probe-06"),
]


@pytest.mark.parametrize(("rule", "number", "change", "fields", "told"), BREAKS)
def test_a_broken_chapter_is_told_what_is_wrong(rule, number, change, fields, told):
    chapter = copy.deepcopy(good())
    cell = chapter.cells[number]
    cell.update(fields)
    if isinstance(change, tuple):
        old, new = change
        assert old in "".join(cell["source"])
        cell["source"] = [
            "".join(cell["source"]).replace(old, new, 1 if rule in {"exercises", "summary"} else -1)
        ]
    said = list(RULES[rule](chapter))
    assert any(told in line for line in said), said


def test_every_rule_has_been_seen_to_fail():
    assert {rule for rule, *_ in BREAKS} == set(RULES)


@pytest.mark.parametrize(
    ("text", "n"),
    [("One.", 1), ("One? Two.", 2), ("See {ledger}`a/b:c.d` of it.", 1), ("Yu et al. say so, e.g. here.", 1)],
)
def test_sentences_are_counted(text, n):
    assert n_sentences(text) == n
