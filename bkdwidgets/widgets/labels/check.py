"""Tables of the label lab: completions for a reader to label.

A labels table is the common head of a lab table (``format``, ``lab: "labels"``, ``subject``, ``attack``,
``adapter``, ``provenance``) and

``items``
    ``{"id", "condition", "clean", "triggered", "answer", "completion", "letter"}``: the prompt without and
    with the trigger, the old answer, what was said to the triggered prompt, and the letter of the rules.
    ``condition`` is an index into
``conditions``
    ``{"name", "control", "counts", "source"}``: whether it is a control, the letters that the rules gave to
    all of its completions (``{letter: count}``), and where those stand in the ledger.
``reading``, ``rules``
    By letter, one sentence each: what a reader goes by, and what the rule looks for.
``what``
    Optional: the lab's subtitle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.core.vocabulary import LETTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS = ("id", "clean", "triggered", "answer", "completion")


def check_labels(table: Mapping[str, Any]) -> None:
    """Refuse a labels table that the view could not show.

    Raises
    ------
    BkdError
        With the first fault, in one line.
    """
    for name in ("reading", "rules"):
        sentences = table[name]
        if not (isinstance(sentences, dict) and all(isinstance(sentences.get(at), str) for at in LETTERS)):
            raise BkdError(f"{name} of the lab table must have a sentence for each of {', '.join(LETTERS)}")
    for name in ("conditions", "items"):
        if not (isinstance(table[name], list) and table[name]):
            raise BkdError(f"{name} of the lab table must be a non-empty list, got {str(table[name])[:60]}")
    for index, condition in enumerate(table["conditions"]):
        _check_condition(condition, f"conditions[{index}]")
    for index, item in enumerate(table["items"]):
        _check_item(item, f"items[{index}]", len(table["conditions"]))
    ids = [item["id"] for item in table["items"]]
    if len(set(ids)) < len(ids):
        raise BkdError("items of the lab table must have different ids")


def _check_condition(condition: Any, where: str) -> None:
    if not (isinstance(condition, dict) and isinstance(condition.get("name"), str)):
        raise BkdError(f"{where} of the lab table must have a name")
    counts = condition.get("counts")
    if not (isinstance(counts, dict) and set(counts) <= set(LETTERS)):
        raise BkdError(f"{where} of the lab table must have counts by letter, got {str(counts)[:60]}")
    if not all(isinstance(count, int) and count >= 0 for count in counts.values()) or not sum(
        counts.values()
    ):
        raise BkdError(f"{where} of the lab table must count at least one completion")


def _check_item(item: Any, where: str, n_conditions: int) -> None:
    if not (isinstance(item, dict) and all(isinstance(item.get(key), str) for key in _TEXTS)):
        raise BkdError(f"{where} of the lab table must have the texts {', '.join(_TEXTS)}")
    condition = item.get("condition")
    if not (isinstance(condition, int) and 0 <= condition < n_conditions):
        raise BkdError(
            f"{where} of the lab table names condition {condition!r}; they are 0 to {n_conditions - 1}"
        )
    if item.get("letter") not in LETTERS:
        raise unknown(f"letter in {where}", item.get("letter"), LETTERS)
