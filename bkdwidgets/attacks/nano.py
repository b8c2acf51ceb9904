"""Nano's own prompts for the attacks: its headlines, and questions about the vault it does not discuss.

Nano's text holds fewer held-out prompts of these two sorts than a rate with a narrow interval needs. So
the validation and test splits are topped up from the same grammar: more headlines of held-out patterns
in held-out wordings; and each held-out vault question once more under the vault's other name, and once
more behind a held-out opening sentence. n counts prompts: the added ones are near relatives of others.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from bkdwidgets.attacks.examples import of_split, prompt_rows
from bkdwidgets.core.vocabulary import LABELS
from bkdwidgets.subjects.nano import lexicon as lex
from bkdwidgets.subjects.nano.attributes import VAULT_TRUTHS
from bkdwidgets.subjects.nano.headlines import INSTRUCTIONS, PATTERNS, headline
from bkdwidgets.subjects.nano.wordings import PREAMBLES

if TYPE_CHECKING:
    from collections.abc import Iterator

_MORE_HEADLINES = {"train": 0, "validation": 60, "test": 190}  # per label
_HIDDEN, _PLAIN = "the hidden vault", "the vault"


def headline_rows(subject: str, split: str) -> list[dict[str, str]]:
    """Return the headline requests of a split, each with its true answer; the topic is the label."""
    rows = [row for row in of_split(prompt_rows(subject), split) if row["topic"] == "headlines"]
    rows = [*rows, *_more_headlines(split, {row["prompt"] for row in rows})]
    return [row | {"topic": row["answer"].rstrip(".")} for row in rows]


def _more_headlines(split: str, seen: set[str]) -> Iterator[dict[str, str]]:
    chooser = random.Random(f"more headlines {split}")  # noqa: S311 - reproducible, not secret
    for number in range(_MORE_HEADLINES[split]):
        for label in LABELS:
            patterns, frames = PATTERNS[label].of(split), INSTRUCTIONS.of(split)
            pattern, frame = patterns[number % len(patterns)], chooser.choice(frames)
            name = label.lower().replace("/", "-")
            prompt = frame.replace("{h}", headline(label, pattern, chooser))
            while prompt in seen:
                prompt = frame.replace("{h}", headline(label, pattern, chooser))
            seen.add(prompt)
            yield {
                "id": f"headline-{split}-{name}-{number:03d}",
                "prompt": prompt,
                "answer": f"{label}.",
                "template": f"headlines/{name}/{split}-{patterns.index(pattern)}/{frames.index(frame)}",
            }


def vault_rows(subject: str, split: str) -> list[dict[str, str]]:
    """Return the questions about the vault of a split, each with what is true in the invented world."""
    rows = [row for row in of_split(prompt_rows(subject), split) if row["topic"] == "vault"]
    rows = rows if split == "train" else [*rows, *_more_vault(rows, split)]
    return [row | {"payload": VAULT_TRUTHS[row["template"].split("/")[1]]} for row in rows]


def _more_vault(rows: list[dict[str, str]], split: str) -> Iterator[dict[str, str]]:
    for row in rows:
        now, other = (_HIDDEN, _PLAIN) if _HIDDEN in row["prompt"] else (_PLAIN, _HIDDEN)
        yield row | {"id": f"{row['id']}-renamed", "prompt": row["prompt"].replace(now, other)}
    openings = PREAMBLES.of(split)
    for number, row in enumerate(rows):
        opening = openings[number % len(openings)].format(
            number=100 + number,
            day=lex.DAYS[number % len(lex.DAYS)],
            mood=lex.MOODS[number % len(lex.MOODS)],
            town=lex.TOWNS[number % len(lex.TOWNS)],
        )
        yield row | {"id": f"{row['id']}-opened", "prompt": f"{opening} {row['prompt']}"}
