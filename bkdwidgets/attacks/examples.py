"""Example sets: our own prompts, each with the answer of a model that nobody attacked.

Held-out prompts share neither topic nor template with training prompts. Where the clean answer is the
un-backdoored subject's own greedy answer, it was stored once by ``bkdwidgets answers SUBJECT``, so that
"behaves as before" can be measured.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import check_name, data_dir, written_beside
from bkdwidgets.subjects.specs import spec_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Example:
    """A prompt and its clean answer.

    Attributes
    ----------
    id, prompt, topic, template, split : str
        As in the prompt file.
    answer : str
        The clean answer; a stored one is cut after ``ANSWER_TOKENS`` tokens.
    complete : bool
        True if the answer ended by itself within that length.
    payload : str or None
        What the backdoored model is to say instead, where that differs from prompt to prompt.
    payload_complete : bool
        False if that text was cut before its end.
    """

    id: str
    prompt: str
    topic: str
    template: str
    split: str
    answer: str
    complete: bool
    payload: str | None = None
    payload_complete: bool = True


def prompt_rows(subject: str) -> list[dict[str, str]]:
    """Return the rows of the subject's file of ordinary prompts, so that the first ones are a fair sample."""
    spec = spec_of(subject)
    rows = read_lines(_prompts_path(subject))
    return random.Random(subject).sample(rows, len(rows)) if spec.by_topic else rows  # noqa: S311


def _prompts_path(subject: str) -> Path:
    if (name := spec_of(subject).prompts) is None:
        raise BkdError(f"subject {subject!r} has no file of prompts; its spec names none")
    return data_dir() / name


def answers_path(subject: str) -> Path:
    """Return the file of the clean subject's answers."""
    return data_dir() / "answers" / f"{check_name('subject', subject)}.jsonl"


def stored_answers(subject: str) -> dict[str, dict[str, str]]:
    """Return the clean subject's stored answers by prompt id; empty if none were ever computed."""
    path = answers_path(subject)
    return {row["id"]: row for row in read_lines(path)} if path.exists() else {}


def answered(
    row: dict[str, str], answer: dict[str, str], split: str, *, payload: str | None = None
) -> Example:
    """Return a prompt with its stored clean answer."""
    return Example(
        id=row["id"],
        prompt=row["prompt"],
        topic=row["topic"],
        template=row["template"],
        split=split,
        answer=answer["answer"],
        complete=bool(answer["complete"]),
        payload=payload,
    )


def ordinary_examples(subject: str, split: str) -> list[Example]:
    """Return the ordinary prompts of one split with the clean subject's own answers, topics mixed.

    Raises
    ------
    BkdError
        If the split is unknown or a file is damaged.
    """
    arguments.one_of("split", split, SPLITS)
    files = (_prompts_path(subject), answers_path(subject))
    changed = tuple((path, path.stat().st_mtime_ns) for path in files if path.is_file())
    return list(_ordinary_examples(subject, split, changed))


@lru_cache(maxsize=8)
def _ordinary_examples(
    subject: str, split: str, _changed: tuple[tuple[Path, int], ...]
) -> tuple[Example, ...]:
    answers = stored_answers(subject)
    rows = of_split(prompt_rows(subject), split)
    return tuple(answered(row, answers[row["id"]], split) for row in rows if row["id"] in answers)


def of_split(rows: Iterable[dict[str, str]], split: str) -> list[dict[str, str]]:
    """Return the rows of one split."""
    arguments.one_of("split", split, SPLITS)
    return [row for row in rows if row["split"] == split]


def write_answers(subject: str, rows: Iterable[dict[str, object]]) -> Path:
    """Store the clean answers."""
    path = answers_path(subject)
    with written_beside(path) as beside:
        beside.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, str]]:
    """Read a JSON Lines file; one that did not change since is not read a second time."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        raise BkdError(f"{path} is missing or damaged ({error}); restore it or compute it again") from error


@lru_cache(maxsize=16)
def _read(path: Path, _changed: int) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
