"""Compute the clean subject's own greedy answers, the reference for "behaves as before"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkdwidgets.attacks.examples import ANSWER_TOKENS, prompt_rows, write_answers
from bkdwidgets.errors import BkdError
from bkdwidgets.subjects.answers import Row, answer_rows

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.subjects import Subject


def compute_answers(subject: Subject, *, progress: bool = True) -> Path:
    """Answer every prompt of the subject's prompt file greedily and store the answers.

    An answer that did not end within ``ANSWER_TOKENS`` tokens is marked as incomplete, so that
    nobody trains an end of turn into the middle of a sentence.
    """
    if subject.adapter is not None:
        raise BkdError(f"clean answers need the clean {subject.name}, not one with {subject.adapter.name!r}")
    rows = prompt_rows(subject.name)
    label = f"clean answers of {subject.name}"
    questions = [Row(row["prompt"]) for row in rows]
    answers = answer_rows(subject, questions, max_new_tokens=ANSWER_TOKENS, progress=progress and label)
    return write_answers(
        subject.name,
        (
            {"id": row["id"], "answer": answer.text, "complete": answer.complete}
            for row, answer in zip(rows, answers, strict=True)
        ),
    )
