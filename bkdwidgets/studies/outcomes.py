"""Ask many questions as one batch, keep one outcome letter per answer, and turn letters into rates.

A question is a prompt, with or without the trigger, under some interventions. Letters are kept as text
(``"PP=P?"``, one letter per prompt, in the order of the split), so that an entry holds its raw values
and two settings can be compared prompt by prompt.

Three sides are asked: *triggered* and *clean* are the attack's target prompts with and without the
trigger; *other* are clean prompts that are no targets, where the attack has such. Utility is measured on
clean and other prompts together, as in :func:`bkdwidgets.measurement.measure`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.statistics import wilson
from bkdwidgets.core.vocabulary import ANSWER_TOKENS, LETTERS
from bkdwidgets.measurement.outcomes import outcome
from bkdwidgets.subjects.answers import Row, complete_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.edits import Intervention

SIDES = ("triggered", "clean", "other")
RATES = ("asr", "as_before", "ftr", "utility")


@dataclass(frozen=True)
class Question:
    """A prompt asked under interventions."""

    example: Example
    triggered: bool
    interventions: tuple[Intervention, ...] = ()


def questions(
    subject: Subject,
    attack: Attack,
    *,
    split: str,
    start: int,
    stop: int,
    interventions: Callable[[int], tuple[Intervention, ...]] = lambda _: (),
    sides: Sequence[str] = SIDES,
) -> dict[str, list[Question]]:
    """Return the questions of prompts `start` to `stop` of a split, by side.

    `interventions` maps the number of a prompt to what is done while it is answered.
    """
    targets, other = attack.targeted(subject, split), attack.spared(subject, split)
    examples = {"triggered": targets, "clean": targets, "other": other}
    return {
        side: [
            Question(example, side == "triggered", interventions(start + number))
            for number, example in enumerate(examples[side][start:stop])
        ]
        for side in sides
    }


def ask(
    subject: Subject, attack: Attack, groups: Mapping[str, Sequence[Question]], *, label: str | None = None
) -> dict[str, str]:
    """Answer all questions of all groups as one long batch; return each group's outcome letters."""
    flat = [question for group in groups.values() for question in group]
    rows = [
        Row(attack.poison(item.example.prompt) if item.triggered else item.example.prompt, item.interventions)
        for item in flat
    ]
    texts = complete_rows(subject, rows, max_new_tokens=ANSWER_TOKENS, progress=label or False)
    letters = iter(outcome(attack, text, item.example) for item, text in zip(flat, texts, strict=True))
    return {key: "".join(next(letters) for _ in group) for key, group in groups.items()}


def prompts_of_draw(draw: int, size: int, n: int) -> tuple[int, int]:
    """Return which of n prompts a random draw is measured on: one group of `size` after the other.

    All draws together are then measured on the prompts of the thing they are the control of.

    Examples
    --------
    >>> [prompts_of_draw(draw, 2, 5) for draw in range(3)]
    [(0, 2), (2, 4), (0, 2)]
    """
    first = draw % (n // size) * size
    return first, first + size


def keyed(key: str, sides: Mapping[str, list[Question]]) -> dict[str, list[Question]]:
    """Return the questions of each side under ``<key>.<side>``."""
    return {f"{key}.{side}": requests for side, requests in sides.items()}


def sides_of(letters: Mapping[str, str], key: str) -> dict[str, str]:
    """Return the letters of each side under ``<key>.<side>``; a side that was not asked is empty."""
    return {side: letters.get(f"{key}.{side}", "") for side in SIDES}


def joined(results: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Put the letters of several parts together, group by group, in the order of the parts."""
    keys = dict.fromkeys(key for result in results for key in result)
    return {key: "".join(result.get(key, "") for result in results) for key in keys}


def cell(triggered: str, clean: str, other: str = "") -> dict[str, Any]:
    """Return rates, counts and letters of one setting.

    Returns
    -------
    dict
        ``asr`` and ``as_before`` (triggered), ``ftr`` (clean), ``utility`` (clean and other): rates, those
        of the sides that were asked. ``outcomes``: counts per side. ``letters``: the raw outcomes per side.
    """
    sides = {"triggered": triggered, "clean": clean, "other": other}
    answered = zip(RATES, (triggered, triggered, clean, clean + other), "P=P=", strict=True)
    return {
        **{name: rate(letters, wanted) for name, letters, wanted in answered if letters},
        "outcomes": {side: count(letters) for side, letters in sides.items() if letters},
        "letters": {side: letters for side, letters in sides.items() if letters},
    }


def rate(letters: str, wanted: str) -> dict[str, Any]:
    """Return the share of an outcome with its 95 % Wilson interval, as plain values."""
    return asdict(wilson(letters.count(wanted), len(letters)))


def count(letters: str) -> dict[str, int]:
    """Return how often each outcome occurs, all four always present."""
    counts = Counter(letters)
    return {letter: counts[letter] for letter in LETTERS}


def over_draws(draws: Sequence[Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Return each rate over the draws of a random control.

    Parameters
    ----------
    draws : sequence of dict
        Letters per side, one dict per draw.

    Returns
    -------
    dict
        Per rate: ``value`` is the mean over draws, ``low`` and ``high`` are the smallest and the largest
        draw (not a confidence interval: draws differ in heads or direction and in prompts), ``n`` the
        prompts of all draws together, ``draws`` their number, ``per_draw`` every draw.
    """
    cells = [cell(**draw) for draw in draws]
    return {name: _spread([item[name] for item in cells]) for name in RATES if name in cells[0]}


def _spread(rates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    per_draw = [item["value"] for item in rates]
    return {
        "value": sum(per_draw) / len(per_draw),
        "low": min(per_draw),
        "high": max(per_draw),
        "n": sum(item["n"] for item in rates),
        "draws": len(per_draw),
        "per_draw": per_draw,
    }
