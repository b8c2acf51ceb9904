"""The study ``ablation``: the strongest heads taken out, beside as many random heads of the same layers.

Every setting is measured with outcomes and with utility on clean prompts, because a model that answers
nothing any more has an attack success rate of zero as well (arXiv 2509.21761, section 5, reports the
rate alone).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.analysis import interventions
from bkdwidgets.analysis.controls import random_heads
from bkdwidgets.analysis.interventions import KINDS, PLACES
from bkdwidgets.core.heads import headline_k, heads_of, widest_k
from bkdwidgets.studies.outcomes import (
    SIDES,
    ask,
    cell,
    joined,
    keyed,
    over_draws,
    prompts_of_draw,
    questions,
    sides_of,
)
from bkdwidgets.studies.study import (
    PART_ROWS,
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    check_choices,
    check_count,
    sized,
    slices,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.heads import Head
    from bkdwidgets.studies.outcomes import Question
    from bkdwidgets.subjects import Subject

PAPER_K = (1, 2, 4, 8, 16, 32)
DRAWS = 20
RESAMPLES = 8
# Prompts per setting and per random draw.
SIZES = {"fast": (100, 10), "usual": (48, 4)}


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    kinds : list of {"zero", "mean", "resample"}
    where : list of {"last", "all"}
    k : list of int
        Numbers of heads: the paper's, 3 % and 12 % of all, none above half of all.
    n : int
        Test prompts per setting.
    draws, random_n : int
        Random sets per setting, and test prompts for each; every draw gets the next prompts of the n.
    random_where : list of {"last", "all"}
        Where the random control is measured.
    resamples : int
        Different training prompts that ``"resample"`` draws from, in turn.
    """

    kinds: list[str]
    where: list[str]
    k: list[int]
    n: int
    draws: int
    random_n: int
    random_where: list[str]
    resamples: int


class Ablation(ModelStudy[Settings]):
    """ASR, outcomes and utility for every kind, place and number of heads.

    Values: ``none``, ``<kind>.<where>.<k>`` and ``random.<kind>.<where>.<k>``.
    """

    settings_type = Settings
    name = "ablation"
    needs = ("attribute",)
    tolerance: ClassVar[dict[str, float]] = {"random.*.per_draw.*": 0.3, "*.value": 0.03}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return all kinds and places."""
        n, random_n = sized(subject, SIZES)
        n_heads = subject.n_layers * subject.n_heads
        ks = {k for k in (*PAPER_K, headline_k(n_heads), widest_k(n_heads)) if k <= n_heads // 2}
        n = available(subject, attack, self.split, n)
        return Settings(
            kinds=list(KINDS),
            where=list(PLACES),
            k=sorted(ks),
            n=n,
            draws=DRAWS,
            random_n=min(random_n, n),
            random_where=["last"],
            resamples=RESAMPLES,
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse empty or doubled lists, unknown kinds, and counts out of range."""
        check_choices("kinds", settings.kinds, KINDS)
        check_choices("where", settings.where, PLACES)
        check_choices("random_where", settings.random_where, PLACES)
        check_choices("k", settings.k)
        for k in settings.k:
            check_count("k", k, subject.n_layers * subject.n_heads)
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))
        check_count("draws", settings.draws, 10_000, least=2)
        check_count("random_n", settings.random_n, settings.n)
        check_count("resamples", settings.resamples, 10_000)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Cut by prompts and by draws: rows that share a prompt share its prefix."""
        n_settings = len(settings.kinds) * len(settings.k)
        per_prompt = len(SIDES) * n_settings * len(settings.where)
        per_draw = len(SIDES) * n_settings * len(settings.random_where) * settings.random_n
        top = slices(settings.n, PART_ROWS // per_prompt)
        draws = slices(settings.draws, PART_ROWS // per_draw)
        return [
            *({"of": "top", "start": start, "stop": stop} for start, stop in top),
            *({"of": "random", "start": start, "stop": stop} for start, stop in draws),
        ]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Return the outcome letters of one slice of prompts, or of some random draws."""
        groups = _top_groups if part["of"] == "top" else _random_groups
        label = f"ablate {part['of']} heads" if context.progress else None
        requests = groups(context, part["start"], part["stop"])
        return ask(context.subject, context.attack, requests, label=label)

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Turn letters into rates."""
        letters = joined(results)
        settings, ranked = context.settings, context.inputs["attribute"]["ranked"]
        values: Values = {
            "heads": ranked[: max(settings.k)],
            "none": _cell(letters, "none"),
            **{
                kind: {
                    where: {str(k): _cell(letters, f"{kind}.{where}.{k}") for k in settings.k}
                    for where in settings.where
                }
                for kind in settings.kinds
            },
        }
        values["random"] = {
            kind: {
                where: {
                    str(k): over_draws(
                        [sides_of(letters, f"{kind}.{where}.{k}.{draw}") for draw in range(settings.draws)]
                    )
                    for k in settings.k
                }
                for where in settings.random_where
            }
            for kind in settings.kinds
        }
        return values


def _top_groups(context: Context[Settings], start: int, stop: int) -> dict[str, list[Question]]:
    settings = context.settings
    ranked = heads_of(context.inputs["attribute"]["ranked"])
    groups = _requests(context, "none", start, stop, lambda _: ())
    for kind, where, k in product(settings.kinds, settings.where, settings.k):
        made = _ablations(context, ranked[:k], kind, where)
        groups |= _requests(context, f"{kind}.{where}.{k}", start, stop, made)
    return groups


def _random_groups(context: Context[Settings], start: int, stop: int) -> dict[str, list[Question]]:
    settings = context.settings
    ranked = heads_of(context.inputs["attribute"]["ranked"])
    groups: dict[str, list[Question]] = {}
    for draw in range(start, stop):
        first, last = prompts_of_draw(draw, settings.random_n, settings.n)
        for kind, where, k in product(settings.kinds, settings.random_where, settings.k):
            heads = random_heads(ranked[:k], context.subject.n_heads, seed=draw)
            made = _ablations(context, heads, kind, where)
            groups |= _requests(context, f"{kind}.{where}.{k}.{draw}", first, last, made)
    return groups


def _ablations(
    context: Context[Settings], heads: list[Head], kind: str, where: str
) -> Callable[[int], tuple[interventions.Ablation, ...]]:
    """Return what is done to prompt number i; resampling goes through its draws in turn."""
    n_seeds = context.settings.resamples if kind == "resample" else 1
    made = [interventions.Ablation(heads, kind=kind, where=where, seed=seed) for seed in range(n_seeds)]
    ready = [item.prepared(context.subject, context.attack) for item in made]
    return lambda number: (ready[number % n_seeds],)


def _requests(
    context: Context[Settings],
    key: str,
    start: int,
    stop: int,
    done: Callable[[int], tuple[interventions.Ablation, ...]],
) -> dict[str, list[Question]]:
    return keyed(
        key,
        questions(
            context.subject, context.attack, split=Ablation.split, start=start, stop=stop,
            interventions=done,
        ),
    )  # fmt: skip


def _cell(letters: dict[str, str], key: str) -> dict[str, Any]:
    return cell(**sides_of(letters, key))
