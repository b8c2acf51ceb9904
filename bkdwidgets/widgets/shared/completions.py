"""What the lab studies share: the prompts a reader can page through, and how completions are kept.

A lab of the published page has no kernel. What it can be asked is computed once, as a study like any
other: the entry holds the completions, the widget's ``table.py`` makes the page's table of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.core.vocabulary import ANSWER_TOKENS, SIDES
from bkdwidgets.measurement.outcomes import outcome
from bkdwidgets.subjects.answers import Row, complete_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.studies.study import Context, Values
    from bkdwidgets.subjects.edits import Intervention

    Interventions = Callable[[int], tuple[Intervention, ...]]

SHOWN = 6
"""Test prompts a reader can page through."""


def shown_prompts(context: Context[Any]) -> list[dict[str, Any]]:
    """Return the prompts a lab shows, each with what is needed to judge an answer to it."""
    attack = context.attack
    examples = attack.targeted(context.subject, "test")[: context.settings.shown]
    return [
        {
            "id": item.id,
            "clean": item.prompt,
            "triggered": attack.poison(item.prompt),
            "answer": item.answer,
            "payload": attack.payload_for(item),
        }
        for item in examples
    ]


def answers_to(
    context: Context[Any], cases: Mapping[str, tuple[int, Interventions]], *, label: str
) -> dict[str, dict[str, Any]]:
    """Answer the first n test prompts, clean and triggered, in each of some cases.

    Parameters
    ----------
    context : Context
        Whose model and attack.
    cases : mapping
        By name: how many prompts, and what is done while prompt number i is answered.
    label : str
        Of the progress bar.

    Returns
    -------
    dict
        By name and side: ``letters``, one outcome letter per prompt, and ``texts``, the completions of the
        prompts that are shown.
    """
    subject, attack = context.subject, context.attack
    examples = attack.targeted(subject, "test")
    flat = [
        (name, side, number, done(number))
        for name, (n, done) in cases.items()
        for side in SIDES
        for number in range(n)
    ]
    rows = [Row(_prompt_of(attack, examples[number], side), done) for _, side, number, done in flat]
    texts = complete_rows(
        subject, rows, max_new_tokens=ANSWER_TOKENS, progress=label if context.progress else False
    )
    found: dict[str, dict[str, Any]] = {
        name: {side: {"letters": "", "texts": []} for side in SIDES} for name in cases
    }
    for (name, side, number, _), text in zip(flat, texts, strict=True):
        half = found[name][side]
        half["letters"] += outcome(attack, text, examples[number])
        if number < context.settings.shown:
            half["texts"].append(text)
    return found


def pooled(results: Sequence[Values]) -> tuple[dict[str, Any], list[str]]:
    """Put the cases of all parts together, each distinct text stored once and named by its number."""
    texts: dict[str, int] = {}
    cases = {}
    for name, sides in (item for result in results for item in result.items()):
        cases[name] = {
            side: {
                "letters": half["letters"],
                "texts": [texts.setdefault(text, len(texts)) for text in half["texts"]],
            }
            for side, half in sides.items()
        }
    return cases, list(texts)


def _prompt_of(attack: Attack, example: Example, side: str) -> str:
    return attack.poison(example.prompt) if side == "triggered" else example.prompt
