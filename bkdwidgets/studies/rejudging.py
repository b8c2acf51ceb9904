"""Judge again what the ledger keeps: how many letters are others under the rules of today.

Only the studies of the labs, ``lab-ablation`` and ``lab-vector``, keep completions beside the letters that
they were given. Other entries keep letters and counts alone; what they were judged by is their revision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import attack
from bkdwidgets.core import ledger
from bkdwidgets.measurement.outcomes import REVISION, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.attacks import Example


@dataclass(frozen=True)
class Rejudged:
    """What the rules of today make of stored completions.

    Attributes
    ----------
    revision : int
        Of the rules of today.
    letters : dict
        Entry -> letters that it keeps with their completions.
    changed : dict
        Entry -> those of them that would be another letter today.
    """

    revision: int
    letters: dict[str, int]
    changed: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with the sums."""
        return {
            **vars(self),
            "n_letters": sum(self.letters.values()),
            "n_changed": sum(self.changed.values()),
        }

    def __str__(self) -> str:
        """Write a line per entry, and the sum."""
        lines = [f"{self.changed[name]:5} of {n:5}  {name}" for name, n in self.letters.items()]
        total = f"{sum(self.changed.values()):5} of {sum(self.letters.values()):5}  letters would be others"
        return "\n".join([*lines, f"{total}, by rules of revision {self.revision}"])


def rejudge(folder: Path | None = None) -> Rejudged:
    """Judge all completions that the ledger keeps with their letters.

    Parameters
    ----------
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.
    """
    letters, changed = {}, {}
    for name in ledger.names(folder):
        entry = ledger.read(name, folder)
        if isinstance(entry.values.get("texts"), list) and "cases" in entry.values:
            pairs = _pairs(entry)
            letters[name] = len(pairs)
            changed[name] = sum(stored != now for stored, now in pairs)
    return Rejudged(REVISION, letters, changed)


def _pairs(entry: ledger.Entry) -> list[tuple[str, str]]:
    """Return each stored letter of an entry with today's."""
    planted, texts = attack(entry.attack), entry.values["texts"]
    examples = {item.id: item for item in planted.targeted(entry.subject, entry.split)}
    shown = [examples[row["id"]] for row in entry.values["prompts"]]

    @cache
    def judged(example: Example, text: int) -> str:
        return outcome(planted, texts[text], example)

    # The letters are those of every prompt, the completions those of the first ones.
    return [
        (letter, judged(example, text))
        for case in entry.values["cases"].values()
        for half in case.values()
        for example, text, letter in zip(shown, half["texts"], half["letters"], strict=False)
    ]
