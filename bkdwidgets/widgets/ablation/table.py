"""The ablation lab's table: top-k sets with rates, the strongest single heads, and random heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from msgspec import UNSET, UnsetType

from bkdwidgets.analysis.interventions import KINDS, drawn_prompt
from bkdwidgets.analysis.interventions import PLACES as ALL_PLACES
from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import Head, heads_of
from bkdwidgets.studies.ablation import RESAMPLES
from bkdwidgets.widgets.shared.schema import (
    Answers,
    Letter,
    Place,
    PromptTable,
    Rate,
    answers_of,
    check_values,
    live_prompts,
    prompts_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry
    from bkdwidgets.subjects import Subject

_STEPS = (0, 1, 2, 4, 8, 16, 32)
_RATES = ("asr", "as_before", "utility")


class Rates(msgspec.Struct, kw_only=True):
    """What was measured over all prompts."""

    asr: Rate
    as_before: Rate
    utility: Rate
    outcomes: dict[Letter, int] | UnsetType = UNSET
    outcomes_clean: dict[Letter, int] | UnsetType = UNSET


class Top(Answers, kw_only=True):
    """The answers without the strongest `k` heads."""

    kind: str
    k: int
    where: Place | UnsetType = UNSET
    rates: Rates | UnsetType = UNSET


class Single(Answers, kw_only=True):
    """The answers without one head."""

    kind: str
    head: Head
    where: Place | UnsetType = UNSET
    rates: Rates | UnsetType = UNSET


class Draws(msgspec.Struct, kw_only=True):
    """Rates without random heads of the same layers, one for each draw."""

    kind: str
    k: int
    where: Place | UnsetType = UNSET
    draws: int | UnsetType = UNSET
    n: int | UnsetType = UNSET
    asr: list[float] | UnsetType = UNSET
    as_before: list[float] | UnsetType = UNSET
    utility: list[float] | UnsetType = UNSET


class AblationTable(PromptTable, kw_only=True):
    """What the ablation lab answers from.

    ``acie`` is [n_layers, n_heads], ``ranked`` its heads from the strongest on; ``k``, ``kinds`` and
    ``places`` are the choices that ``top`` covers. A row that names no place is of the place ``where``.
    ``drawn`` are the prompts whose head outputs a resample ablation puts in.
    """

    LAB: ClassVar[str] = "ablation"
    NAME: ClassVar[str] = "ablation"
    NEEDS: ClassVar[tuple[str, ...]] = ("attribute", "ablation", "lab-ablation")

    texts: list[str]
    acie: list[list[float]]
    ranked: list[Head]
    k: list[int]
    kinds: list[str]
    drawn: list[str]
    top: list[Top]
    acie_n: int | UnsetType = UNSET
    places: list[Place] | UnsetType = UNSET
    where: Place | UnsetType = UNSET
    single: list[Single] | UnsetType = UNSET
    random: list[Draws] | UnsetType = UNSET

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table of the entries ``attribute``, ``ablation`` and ``lab-ablation``."""
        effects, rates, lab = (entries[name].values for name in cls.NEEDS)
        about = entries["lab-ablation"]
        kinds = list(rates["random"])
        places = list(rates[kinds[0]])
        ks = [int(k) for k in rates[kinds[0]][places[0]]]
        return cls.of({
            **prompts_of(cls, entries),
            "acie": effects["acie"],
            "acie_n": len(effects["per_prompt"]),
            "ranked": heads_of(effects["ranked"]),
            "k": [0, *ks],
            "kinds": kinds,
            "places": places,
            "drawn": [
                drawn_prompt(about.subject, attack_named(about.attack), seed) for seed in range(RESAMPLES)
            ],
            "top": [
                _row(rates, lab, (kind, where, k)) for kind in kinds for where in places for k in (0, *ks)
            ],
            "single": [
                {"kind": "zero", "where": "last", "head": heads_of([name.removeprefix("single.")])[0]}
                | answers_of(lab["cases"][name])
                for name in lab["cases"]
                if name.startswith("single.")
            ],
            "random": [
                {"kind": kind, "where": where, "k": int(k), "draws": cell["asr"]["draws"],
                 "n": cell["asr"]["n"] // cell["asr"]["draws"]}
                | {name: cell[name]["per_draw"] for name in _RATES}
                for kind, where_cells in rates["random"].items()
                for where, cells in where_cells.items()
                for k, cell in cells.items()
            ],
            "texts": lab["texts"],
        })  # fmt: skip

    @classmethod
    def from_subject(cls, subject: Subject, attack: Attack, effects: HeadEffects | None = None) -> Self:
        """Return a table with a map of heads and no answers: Python has to give them.

        Parameters
        ----------
        subject, attack : Subject, Attack
            Who is asked.
        effects : HeadEffects, optional
            Ranks the heads; computed (which takes a while) if not given.
        """
        from bkdwidgets.analysis import attribute

        effects = effects or attribute(subject, attack, prompts=8)
        n_heads = subject.n_layers * subject.n_heads
        if tuple(effects.acie.shape) != (subject.n_layers, subject.n_heads):
            raise BkdError(
                f"effects have shape {list(effects.acie.shape)}; "
                f"{subject.name} has {subject.n_layers} layers of {subject.n_heads} heads"
            )
        return cls.of({
            **live_prompts(cls, subject, attack),
            "acie": [[round(value, 6) for value in row] for row in effects.acie.tolist()],
            "acie_n": len(effects.per_prompt),
            "ranked": effects.top(n_heads),
            "k": [k for k in _STEPS if k <= n_heads],
            "kinds": list(KINDS),
            "places": list(ALL_PLACES),
            "drawn": [drawn_prompt(subject, attack, seed) for seed in range(RESAMPLES)],
            "top": [],
            "single": [],
            "random": [],
            "texts": [],
        })  # fmt: skip

    def check(self) -> None:
        """Refuse a map of another shape, heads that are not there, and answers that are not complete."""
        super().check()
        layers, heads = self.shape
        if len(self.acie) != layers or any(len(row) != heads for row in self.acie):
            raise BkdError(f"acie of the lab table must be {layers} rows of {heads} values")
        self.check_heads(self.ranked, "ranked")
        check_values("k", self.k, lambda k: 0 <= k <= len(self.ranked))
        check_values("kinds", self.kinds, lambda _: True)
        check_values("drawn", self.drawn, lambda _: True)
        single = self.single or []
        self.check_heads([row.head for row in single], "single")
        for name, rows in (("top", self.top), ("single", single)):
            for index, row in enumerate(rows):
                self.check_answers(row, self.texts, f"{name}[{index}]")


def _row(rates: dict[str, Any], lab: dict[str, Any], setting: tuple[str, str, int]) -> dict[str, Any]:
    """Return a set's rates and completions; taking no head away is the same whatever the kind."""
    kind, where, k = setting
    cell = rates[kind][where][str(k)] if k else rates["none"]
    return {
        "kind": kind,
        "where": where,
        "k": k,
        **answers_of(lab["cases"][f"{kind}.{where}.{k}" if k else "none"]),
        "rates": {
            **{rate: cell[rate] for rate in _RATES},
            "outcomes": cell["outcomes"]["triggered"],
            "outcomes_clean": cell["outcomes"]["clean"],
        },
    }
