"""What all tables share: the prompts they show, a pool of texts, and judged cells."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bkdwidgets.measurement.intervals import rate_of
from bkdwidgets.measurement.measure import ANSWER_TOKENS, Completion, count_outcomes, judged_completions
from bkdwidgets.subjects.answers import Row, complete_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.edits import Intervention

SHOWN = 6
"""Test prompts a reader can page through; their completions are in the table."""


@dataclass(frozen=True)
class Case:
    """One setting of a lab and the test prompts it is measured on: `n` of them from number `start` on."""

    interventions: tuple[Intervention, ...]
    n: int
    start: int = 0

    def chosen(self, examples: list[Example]) -> list[Example]:
        """Return the setting's own examples."""
        return examples[self.start : self.start + self.n]


@dataclass(frozen=True)
class Cell:
    """A setting's completions, clean and triggered, all judged."""

    clean: list[Completion]
    triggered: list[Completion]


class TextPool:
    """Completions repeat: each distinct text is stored once and named by its number."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def refer(self, completions: Sequence[Completion]) -> list[list[int | str]]:
        """Return ``[number of the text, outcome]`` of the completions that are shown."""
        return [[self._number(item.text), item.outcome] for item in completions[:SHOWN]]

    def _number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]


def test_examples(subject: Subject, attack: Attack) -> list[Example]:
    """Return the held-out prompts whose clean answer is not already the payload."""
    return attack.targeted(subject, "test")


def shown_prompts(subject: Subject, attack: Attack) -> list[dict[str, str]]:
    """Return the prompts a lab shows, with the clean model's own answers."""
    return [
        {
            "id": item.id,
            "clean": item.prompt,
            "triggered": attack.poison(item.prompt),
            "answer": item.answer,
        }
        for item in test_examples(subject, attack)[:SHOWN]
    ]


def run_cases(subject: Subject, attack: Attack, cases: Sequence[Case], *, label: str) -> list[Cell]:
    """Answer all prompts of all settings as one long batch and judge the answers."""
    examples = test_examples(subject, attack)
    rows = []
    for case in cases:
        chosen = case.chosen(examples)
        rows += [Row(item.prompt, case.interventions) for item in chosen]
        rows += [Row(attack.poison(item.prompt), case.interventions) for item in chosen]
    texts = iter(complete_rows(subject, rows, max_new_tokens=ANSWER_TOKENS, progress=label))
    cells = []
    for case in cases:
        chosen = case.chosen(examples)
        clean = judged_completions(attack, chosen, [next(texts) for _ in chosen], triggered=False)
        triggered = judged_completions(attack, chosen, [next(texts) for _ in chosen], triggered=True)
        cells.append(Cell(clean, triggered))
    return cells


def share(completions: Sequence[Completion], outcome: str) -> dict[str, Any]:
    """Return the rate of an outcome with its interval, as plain values."""
    rate = asdict(rate_of(item.outcome == outcome for item in completions))
    return {key: round(value, 4) for key, value in rate.items()}


def outcome_counts(cell: Cell) -> dict[str, dict[str, int]]:
    """Return the number of completions per outcome, on triggered and on clean prompts."""
    return {"outcomes": count_outcomes(cell.triggered), "outcomes_clean": count_outcomes(cell.clean)}
