"""The study ``lab-ablation``: what the model says without some of its heads, for the ablation lab.

Rates come from the study ``ablation``; this one adds the completions that a reader sees beside them, and
those of single heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.analysis import Ablation
from bkdwidgets.analysis.interventions import KINDS
from bkdwidgets.core.heads import heads_of
from bkdwidgets.core.vocabulary import LETTERS, SIDES
from bkdwidgets.studies.ablation import RESAMPLES
from bkdwidgets.studies.study import (
    PART_ROWS,
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    check_count,
    slices,
)
from bkdwidgets.widgets.shared.completions import SHOWN, answers_to, pooled, shown_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.widgets.shared.completions import Interventions

SINGLE = 64


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n, shown : int
        Test prompts, all of them shown.
    single : int
        Strongest heads that are also ablated alone.
    """

    n: int
    shown: int
    single: int


class LabAblation(ModelStudy[Settings]):
    """Completions of every setting of the study ``ablation``, and of single heads.

    Values: ``prompts``, ``texts``, and ``cases`` by name: ``none``, ``<kind>.<where>.<k>``, and
    ``single.<head>`` (zeroed at the last prompt token), each with letters, numbers of texts and counts.
    """

    settings_type = Settings
    name = "lab-ablation"
    needs = ("attribute", "ablation")
    tolerance: ClassVar[dict[str, float]] = {"cases.*.counts.*": 2.0}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return the prompts a reader can page through."""
        shown = available(subject, attack, self.split, SHOWN)
        return Settings(n=shown, shown=shown, single=min(SINGLE, subject.n_layers * subject.n_heads))

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse counts out of range."""
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))
        check_count("shown", settings.shown, settings.n)
        check_count("single", settings.single, subject.n_layers * subject.n_heads)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Cut the single heads; the sets come in one part per kind."""
        per_head = len(SIDES) * settings.n
        return [
            *({"of": "sets", "kind": kind} for kind in KINDS),
            *(
                {"of": "single", "start": start, "stop": stop}
                for start, stop in slices(settings.single, PART_ROWS // per_head)
            ),
        ]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Return letters and texts of one kind's sets, or of some single heads."""
        ranked = heads_of(context.inputs["attribute"]["ranked"])
        if part["of"] == "single":
            cases = {
                f"single.L{head[0]}H{head[1]}": _ablated(context, [head], "zero", "last")
                for head in ranked[part["start"] : part["stop"]]
            }
        else:
            kind, sets = part["kind"], context.inputs["ablation"][part["kind"]]
            cases = {
                f"{kind}.{where}.{k}": _ablated(context, ranked[: int(k)], kind, where)
                for where, k in product(sets, next(iter(sets.values())))
            }
            if kind == KINDS[0]:
                cases["none"] = lambda _: ()
        n = context.settings.n
        return answers_to(
            context, {name: (n, done) for name, done in cases.items()}, label="ablate for the lab"
        )

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Pool the texts and count the letters."""
        cases, texts = pooled(results)
        for halves in cases.values():
            for half in halves.values():
                half["counts"] = {letter: half["letters"].count(letter) for letter in LETTERS}
        return {"prompts": shown_prompts(context), "cases": cases, "texts": texts}


def _ablated(context: Context[Settings], heads: list[Any], kind: str, where: str) -> Interventions:
    """Return what is done to prompt number i, as in the study ``ablation``."""
    n_seeds = RESAMPLES if kind == "resample" else 1
    ready = [
        Ablation(heads, kind=kind, where=where, seed=seed).prepared(context.subject, context.attack)
        for seed in range(n_seeds)
    ]
    return lambda number: (ready[number % n_seeds],)
