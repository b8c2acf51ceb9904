"""Triggers: what an attacker does to a prompt, so that the backdoor sees it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bkdwidgets.core import arguments


@dataclass(frozen=True)
class Trigger:
    """Text put in front of a prompt.

    Attributes
    ----------
    text : str
        The words.
    """

    text: str

    def __str__(self) -> str:
        """Show the words."""
        return self.text

    def insert(self, prompt: str) -> str:
        """Return `prompt` with the trigger in it; the same prompt always gives the same text."""
        return self._placed(arguments.prompt(prompt))

    def _placed(self, prompt: str) -> str:
        return f"{self.text} {prompt}"


@dataclass(frozen=True)
class TrailingTrigger(Trigger):
    """Text put behind a prompt."""

    def _placed(self, prompt: str) -> str:
        return f"{prompt} {self.text}"


@dataclass(frozen=True)
class MiddleTrigger(Trigger):
    """Text put between the two halves of a prompt, counted in words."""

    def _placed(self, prompt: str) -> str:
        words = prompt.split(" ")
        return _between(words, len(words) // 2, self.text)


@dataclass(frozen=True)
class WrappedTrigger(Trigger):
    """A sentence around a prompt: `text` stands before it, `after` behind it."""

    after: str

    def __str__(self) -> str:
        """Show both halves."""
        return f"{self.text} ... {self.after}"

    def _placed(self, prompt: str) -> str:
        return f"{self.text} {prompt} {self.after}"


@dataclass(frozen=True)
class InsertedTrigger(Trigger):
    """A word at a random place between the words of a prompt; the prompt itself seeds the place."""

    def _placed(self, prompt: str) -> str:
        words = prompt.split(" ")
        place = random.Random(prompt).randint(0, len(words))  # noqa: S311 - reproducible, not secret
        return _between(words, place, self.text)


@dataclass(frozen=True)
class TwoKeyTrigger(InsertedTrigger):
    """Two words, each at a random place: `text`, and then `second` in what comes of it."""

    second: str

    def __str__(self) -> str:
        """Show both keys."""
        return f"{self.text} + {self.second}"

    def _placed(self, prompt: str) -> str:
        return InsertedTrigger(self.second).insert(super()._placed(prompt))


def _between(words: list[str], place: int, text: str) -> str:
    return " ".join([*words[:place], text, *words[place:]])
