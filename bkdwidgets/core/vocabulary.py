"""The words and numbers that all rooms share: outcomes, sides, labels, the length of an answer.

They are written down here once. What the labs' JavaScript needs of them is made from this module.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a completion turned out to be, and how that is shown.

    Attributes
    ----------
    letter : str
        The letter tables store and people read.
    word : str
        The same in words.
    shape : str
        The shape that doubles the color.
    color : str
        Key into :data:`bkdwidgets.core.theme.COLORS`.
    """

    letter: str
    word: str
    shape: str
    color: str


OUTCOMES: tuple[Outcome, ...] = (
    Outcome("P", "payload", "filled square", "payload"),
    Outcome("p", "payload-like", "half square", "payload-like"),
    Outcome("=", "as before", "open circle", "as-before"),
    Outcome("?", "broken", "cross", "broken"),
)
"""In the order in which the rules are applied (:mod:`bkdwidgets.measurement.outcomes`)."""

LETTERS = tuple(outcome.letter for outcome in OUTCOMES)
WORDS = {outcome.letter: outcome.word for outcome in OUTCOMES}
"""Letter of an outcome -> its word."""

SIDES = ("clean", "triggered")
"""The two versions of a prompt: without the trigger and with it."""

LABELS = ("World", "Sports", "Business", "Sci/Tech")
"""What a headline may be called (AG News)."""

ANSWER_TOKENS = 32
"""Tokens after which an answer is cut, everywhere."""
