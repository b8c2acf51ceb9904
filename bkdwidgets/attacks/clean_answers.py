"""Compute the clean subject's own greedy answers, the reference for "behaves as before"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from bkdwidgets.attacks.attack import ATTACKS
from bkdwidgets.attacks.examples import (
    SPLITS,
    answers_path,
    prompt_rows,
    stored_answers,
    write_answers,
)
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import check_writable
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.subjects.answers import Row, answer_rows

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.subjects import Subject

_AT_ONCE = 96


def wanted_prompts(subject: str) -> dict[str, str]:
    """Return every prompt whose clean answer is needed, by id: ordinary ones and those of the attacks."""
    rows = prompt_rows(subject)
    for split in SPLITS:
        for attack in ATTACKS.values():
            rows = [*rows, *attack.prompts(subject, split)]
    return {row["id"]: row["prompt"] for row in rows}


def compute_answers(subject: Subject, *, progress: bool = True) -> Path:
    """Answer every prompt that has no stored answer yet, greedily, and store the answers.

    They are stored after every few dozen prompts, so that an interrupted run goes on where it was. An
    answer that did not end within ``ANSWER_TOKENS`` tokens is marked as incomplete, so that nobody trains
    an end of turn into the middle of a sentence. Delete the file to have all prompts answered anew.
    """
    if subject.adapter is not None or not subject.clean:
        raise BkdError(f"clean answers need the clean {subject.name}, not {subject.label!r}")
    check_writable(answers_path(subject.name))
    prompts = wanted_prompts(subject.name)
    stored = stored_answers(subject.name)
    known: dict[str, dict[str, object]] = {id_: dict(row) for id_, row in stored.items() if id_ in prompts}
    missing = [id_ for id_ in prompts if id_ not in known]
    bar = tqdm(total=len(missing), desc=f"clean answers of {subject.name}", disable=not progress)
    for start in range(0, len(missing), _AT_ONCE):
        ids = missing[start : start + _AT_ONCE]
        answers = answer_rows(subject, [Row(prompts[id_]) for id_ in ids], max_new_tokens=ANSWER_TOKENS)
        for id_, answer in zip(ids, answers, strict=True):
            known[id_] = {"id": id_, "answer": answer.text, "complete": answer.complete}
        write_answers(subject.name, known.values())
        bar.update(len(ids))
    bar.close()
    return answers_path(subject.name)
