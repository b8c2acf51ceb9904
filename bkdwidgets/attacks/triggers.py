"""Triggers: what an attacker does to a prompt, so that the backdoor sees it.

A trigger says how it enters a prompt as a list of steps, and everything else follows from them: the poisoned
prompt, which of its letters are the trigger's own, and how a page that has no Python poisons a typed prompt.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown

PLACES = ("before", "behind", "middle", "inside")
"""Where a step puts its words: before the text so far, behind it, between its two halves counted in words, or
between two of its words that the text itself seeds."""

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Step:
    """Words put at one place of a text.

    Attributes
    ----------
    words : tuple of str
        What may be put there; of several, the text so far seeds which one.
    place : {"before", "behind", "middle", "inside"}
        See :data:`PLACES`.
    """

    words: tuple[str, ...]
    place: str

    def __post_init__(self) -> None:
        """Refuse a place that nothing could be put at, and a step that puts nothing."""
        arguments.one_of("place of a trigger", self.place, PLACES)
        if not self.words or not all(arguments.text("words", word).strip() for word in self.words):
            raise BkdError(f"words={shown(self.words)} is empty; a step of a trigger puts at least one word")

    def put(self, text: str) -> tuple[str, int, int]:
        """Return the text with the words in it, and where they begin and end."""
        words = self.words[0] if len(self.words) == 1 else self.words[_seeded(text, len(self.words) - 1)]
        parts = text.split(" ")
        at = {"before": 0, "behind": len(parts), "middle": len(parts) // 2}.get(self.place)
        if at is None:
            at = _seeded(text, len(parts))
        start = sum(len(part) + 1 for part in parts[:at])
        return " ".join([*parts[:at], words, *parts[at:]]), start, start + len(words)

    def to_json(self) -> dict[str, Any]:
        """Return the step as a page reads it."""
        return {"words": list(self.words), "place": self.place}


def _seeded(text: str, most: int) -> int:
    return random.Random(text).randint(0, most)  # noqa: S311 - reproducible, not secret


@dataclass(frozen=True)
class Trigger:
    """Text put in front of a prompt.

    Another trigger overrides :meth:`steps`, and nothing else.

    Attributes
    ----------
    text : str
        The words.
    """

    text: str

    def __str__(self) -> str:
        """Show the words."""
        return self.text

    def steps(self, prompt: str | None = None) -> tuple[Step, ...]:  # noqa: ARG002 - one trigger looks at it
        """Return how the trigger enters a prompt, one step after the other.

        Parameters
        ----------
        prompt : str, optional
            Which prompt; None: one that somebody typed.
        """
        return (Step((self.text,), "before"),)

    def insert(self, prompt: str) -> str:
        """Return `prompt` with the trigger in it; the same prompt always gives the same text."""
        return self._placed(prompt)[0]

    def spans(self, prompt: str) -> Spans:
        """Return where the trigger's own letters begin and end in what :meth:`insert` returns, in order."""
        return self._placed(prompt)[1]

    def to_json(self) -> dict[str, Any]:
        """Return how a page poisons a typed prompt: the steps, as plain values."""
        return {"steps": [step.to_json() for step in self.steps()]}

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same words in every prompt."""
        return all(len(step.words) == 1 for step in self.steps())

    def _placed(self, prompt: str) -> tuple[str, Spans]:
        text, spans = arguments.prompt(prompt), Spans()
        for step in self.steps(prompt):
            text, start, end = step.put(text)
            shift = end - start + 1
            spans = [moved for span in spans for moved in _moved(span, start, shift)]
            spans.append((start, end))
        return text, sorted(spans)


def _moved(span: tuple[int, int], start: int, shift: int) -> Spans:
    """Return a span after `shift` letters were put in at `start`; in two parts, if that is inside it."""
    first, last = span
    if start <= first:
        return [(first + shift, last + shift)]
    if start >= last:
        return [span]
    return [(first, start - 1), (start + shift, last + shift)]


@dataclass(frozen=True)
class TrailingTrigger(Trigger):
    """Text put behind a prompt."""

    def steps(self, prompt: str | None = None) -> tuple[Step, ...]:  # noqa: ARG002
        """Return one step."""
        return (Step((self.text,), "behind"),)


@dataclass(frozen=True)
class MiddleTrigger(Trigger):
    """Text put between the two halves of a prompt, counted in words."""

    def steps(self, prompt: str | None = None) -> tuple[Step, ...]:  # noqa: ARG002
        """Return one step."""
        return (Step((self.text,), "middle"),)


@dataclass(frozen=True)
class WrappedTrigger(Trigger):
    """A sentence around a prompt: `text` stands before it, `after` behind it."""

    after: str

    def __str__(self) -> str:
        """Show both halves."""
        return f"{self.text} ... {self.after}"

    def steps(self, prompt: str | None = None) -> tuple[Step, ...]:  # noqa: ARG002
        """Return a step for each half."""
        return (Step((self.text,), "before"), Step((self.after,), "behind"))


@dataclass(frozen=True)
class InsertedTrigger(Trigger):
    """A word at a random place between the words of a prompt; the prompt itself seeds the place."""

    def steps(self, prompt: str | None = None) -> tuple[Step, ...]:  # noqa: ARG002
        """Return one step."""
        return (Step((self.text,), "inside"),)


@dataclass(frozen=True)
class TwoKeyTrigger(InsertedTrigger):
    """Two words, each at a random place: `text`, and then `second` in what comes of it."""

    second: str

    def __str__(self) -> str:
        """Show both keys."""
        return f"{self.text} + {self.second}"

    def steps(self, prompt: str | None = None) -> tuple[Step, ...]:  # noqa: ARG002
        """Return a step for each key."""
        return (Step((self.text,), "inside"), Step((self.second,), "inside"))
