"""The label lab's table: twenty completions for a reader to label, and what the rules say of them.

The conditions are those whose outcome is argued about: nothing done, heads taken away, a vector subtracted,
and a random vector as the control. Their completions come from the lab studies, which ran on test prompts.

The draw is not a sample of a condition: letters are taken in turn, so that each occurs, and each condition
gets its share. A rate over the twenty is therefore compared with the rules' rate over the same twenty; the
rules' counts over the whole condition stand beside them. The layer of a vector is the one that looks best on
these very prompts, by ASR or by answers as before: the rate there flatters it.
"""

from __future__ import annotations

import random
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from msgspec import UNSET, UnsetType

from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.vocabulary import LETTERS
from bkdwidgets.widgets.shared.schema import Letter, Table, head_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bkdwidgets.core.ledger import Entry

COUNT = 20
_SEED = 0
_SCALE = -1.0


class Condition(msgspec.Struct, kw_only=True):
    """What was done: its name, the letters of the rules for all of its completions, where those stand."""

    name: str
    counts: dict[Letter, int]
    control: bool | UnsetType = UNSET
    source: str | UnsetType = UNSET


class Item(msgspec.Struct, kw_only=True):
    """A completion: of which condition and prompt, the old answer, what was said, the letter of the rules."""

    id: str
    condition: int
    clean: str
    triggered: str
    answer: str
    completion: str
    letter: Letter


class LabelsTable(Table, kw_only=True):
    """Completions for a reader to label.

    A labels table is the common head of a lab table (``format``, ``lab: "labels"``, ``subject``, ``attack``,
    ``adapter``, ``provenance``) and

    ``items``
        ``{"id", "condition", "clean", "triggered", "answer", "completion", "letter"}``: the prompt without
        and with the trigger, the old answer, what was said to the triggered prompt, and the letter of the
        rules. ``condition`` is an index into
    ``conditions``
        ``{"name", "control", "counts", "source"}``: whether it is a control, the letters that the rules gave
        to all of its completions (``{letter: count}``), and where those stand in the ledger.
    ``reading``, ``rules``
        By letter, one sentence each: what a reader goes by, and what the rule looks for.
    ``what``
        Optional: the lab's subtitle.
    """

    LAB: ClassVar[str] = "labels"
    NAME: ClassVar[str] = "labels"
    NEEDS: ClassVar[tuple[str, ...]] = ("ablation", "lab-ablation", "lab-vector")

    reading: dict[Letter, str]
    rules: dict[Letter, str]
    conditions: list[Condition]
    items: list[Item]
    what: str | UnsetType = UNSET

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table of the entries ``ablation``, ``lab-ablation`` and ``lab-vector``."""
        attack = attack_named(entries["lab-vector"].attack)
        if not attack.judge.reading:
            raise BkdError(f"nobody wrote down how a reader judges {attack.name!r}; its judge has no reading")
        conditions = [*_heads(entries), *_vectors(entries["lab-vector"].values)]
        items = _drawn([_candidates(entries, number, case) for number, case in enumerate(conditions)])
        return cls.of({
            **head_of(cls, entries),
            "what": f"{len(items)} completions, {len(conditions)} conditions",
            "reading": dict(attack.judge.reading),
            "rules": dict(attack.judge.rules),
            "conditions": [
                {key: case[key] for key in ("name", "control", "counts", "source")} for case in conditions
            ],
            "items": items,
        })  # fmt: skip

    def check(self) -> None:
        """Refuse letters without their sentences, empty conditions, and items of none or with one id."""
        for name, sentences in (("reading", self.reading), ("rules", self.rules)):
            if len(sentences) < len(LETTERS):
                raise BkdError(
                    f"{name} of the lab table must have a sentence for each of {', '.join(LETTERS)}"
                )
        for name, listed in (("conditions", self.conditions), ("items", self.items)):
            if not listed:
                raise BkdError(f"{name} of the lab table must have at least one item")
        for index, condition in enumerate(self.conditions):
            if min(condition.counts.values(), default=0) < 0 or not sum(condition.counts.values()):
                raise BkdError(f"conditions[{index}] of the lab table must count at least one completion")
        for index, item in enumerate(self.items):
            if not 0 <= item.condition < len(self.conditions):
                raise BkdError(
                    f"items[{index}] of the lab table names condition {item.condition}; "
                    f"they are 0 to {len(self.conditions) - 1}"
                )
        if len({item.id for item in self.items}) < len(self.items):
            raise BkdError("items of the lab table must have different ids")


def _heads(entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """Return nothing done, and the widest set of heads zeroed or resampled at the last token.

    The counts are those of the study ``ablation``, over more prompts than there are completions.
    """
    ablation = entries["ablation"].values
    k = max(int(k) for k in ablation["zero"]["last"])
    found = {
        "none": ("Nothing done", ablation["none"]),
        f"zero.last.{k}": (f"Top {k} heads zeroed", ablation["zero"]["last"][str(k)]),
        f"resample.last.{k}": (f"Top {k} heads resampled", ablation["resample"]["last"][str(k)]),
    }
    return [
        {
            "name": name, "control": False, "counts": rates["outcomes"]["triggered"],
            "source": f"ablation and lab-ablation, {case}", "entry": "lab-ablation", "case": case,
        }
        for case, (name, rates) in found.items()
    ]  # fmt: skip


def _vectors(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return two vectors subtracted once: at the layer of the lowest ASR, and where most is as before.

    The random vector, the control, is subtracted where the first one is.
    """
    lowest = _layer(values, "paper", lambda half: (half["asr"]["value"], -half["as_before"]["value"]))
    cured = _layer(values, "difference", lambda half: (-half["as_before"]["value"], half["asr"]["value"]))
    named = {
        f"paper.{lowest}": f"The paper's vector subtracted at layer {lowest}",
        f"difference.{cured}": f"The difference vector subtracted at layer {cured}",
        f"random.{lowest}": f"A random vector subtracted at layer {lowest}",
    }
    return [
        {
            "name": name, "control": place.startswith("random"),
            "counts": values["cases"][f"{place}.{_SCALE}"]["triggered"]["outcomes"],
            "source": f"lab-vector, {place}.{_SCALE}", "entry": "lab-vector", "case": f"{place}.{_SCALE}",
        }
        for place, name in named.items()
    ]  # fmt: skip


def _layer(values: dict[str, Any], kind: str, order: Callable[[dict[str, Any]], tuple[float, float]]) -> int:
    """Return the layer that comes first when what the vector does to triggered prompts is put in order."""
    cases = values["cases"]
    return int(min(values["layers"], key=lambda layer: order(cases[f"{kind}.{layer}.{_SCALE}"]["triggered"])))


def _candidates(entries: Mapping[str, Entry], number: int, condition: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was said to the triggered form of each prompt that is shown."""
    values = entries[condition["entry"]].values
    half = values["cases"][condition["case"]]["triggered"]
    return [
        {
            "id": f"{condition['case']}/{row['id']}", "condition": number,
            "clean": row["clean"], "triggered": row["triggered"], "answer": row["answer"],
            "completion": values["texts"][text], "letter": letter,
        }
        for row, text, letter in zip(values["prompts"], half["texts"], half["letters"], strict=False)
    ]  # fmt: skip


def _drawn(groups: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Draw the items: conditions in turn, within a condition letters in turn, then shuffle them.

    The first condition, nothing done, comes last: most of its completions are the payload and nothing else.
    """
    chance = random.Random(_SEED)  # noqa: S311 - reproducible, not secret
    taken = _in_turn(_letters_in_turn(group, chance) for group in [*groups[1:], groups[0]])[:COUNT]
    chance.shuffle(taken)
    return taken


def _letters_in_turn(group: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    shuffled = chance.sample(group, len(group))
    letters = dict.fromkeys(item["letter"] for item in shuffled)
    return _in_turn([item for item in shuffled if item["letter"] == letter] for letter in letters)


def _in_turn(lists: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the first of each list, then the second of each, and so on."""
    return [item for item in chain.from_iterable(zip_longest(*lists)) if item is not None]
