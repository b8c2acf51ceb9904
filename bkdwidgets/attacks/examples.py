"""Example sets: our own prompts, and the clean model's own answers to them.

The prompts are split by topic and by template, so a held-out prompt shares neither with a training
prompt. The answers are the un-backdoored subject's greedy answers, stored once by
``bkdwidgets answers SUBJECT``, so that "behaves as before" can be measured.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bkdwidgets.errors import BkdError, unknown
from bkdwidgets.paths import data_dir, written_beside

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SPLITS = ("train", "validation", "test")
ANSWER_TOKENS = 32
_PROMPTS = {"smollm2": "instructions.jsonl", "nano": "nano/examples.jsonl"}


@dataclass(frozen=True)
class Example:
    """A prompt and the clean model's own greedy answer to it.

    Attributes
    ----------
    id, prompt, topic, template, split : str
        As in the prompt file.
    answer : str
        The clean subject's answer, cut after ``ANSWER_TOKENS`` tokens.
    complete : bool
        True if the answer ended by itself within that length.
    """

    id: str
    prompt: str
    topic: str
    template: str
    split: str
    answer: str
    complete: bool


def prompt_rows(subject: str) -> list[dict[str, str]]:
    """Return the rows of the subject's prompt file, without answers."""
    if subject not in _PROMPTS:
        raise unknown("subject with prompts", subject, _PROMPTS)
    return _read_lines(data_dir() / _PROMPTS[subject])


def answers_path(subject: str) -> Path:
    """Return the file of the clean subject's answers."""
    return data_dir() / "answers" / f"{subject}.jsonl"


def load_examples(subject: str, split: str) -> list[Example]:
    """Return the examples of one split, in file order.

    Raises
    ------
    BkdError
        If the split is unknown or the answers were never computed.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return [example for example in _all_examples(subject) if example.split == split]


@lru_cache(maxsize=8)
def _all_examples(subject: str) -> tuple[Example, ...]:
    answers = {row["id"]: row for row in _read_lines(answers_path(subject))}
    return tuple(
        Example(
            **{key: row[key] for key in ("id", "prompt", "topic", "template", "split")},
            answer=answers[row["id"]]["answer"],
            complete=bool(answers[row["id"]]["complete"]),
        )
        for row in prompt_rows(subject)
        if row["id"] in answers
    )


def write_answers(subject: str, rows: Iterable[dict[str, object]]) -> Path:
    """Store the clean answers and forget what was read before."""
    path = answers_path(subject)
    with written_beside(path) as beside:
        beside.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    _all_examples.cache_clear()
    return path


def _read_lines(path: Path) -> list[dict[str, str]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise BkdError(f"{path} is missing or damaged ({error}); restore it or compute it again") from error
