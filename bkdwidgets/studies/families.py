"""The study ``families``: whether three ways of planting the same backdoor leave the same traces.

Four adapters of one attack are compared, each with each: by fine-tuning (two seeds), by preference training
and by editing. The two seeds are the measure of what "the same" can mean: a ranking of heads that does not
agree between two seeds of one method can not be asked to agree between methods.

* *heads*: do the exact effects (ACIE) rank the heads alike, and name the same top 12 %?
* *ablation*: the strongest heads of one adapter are taken out of another.
* *vector*: the backdoor vector of one adapter is subtracted from triggered prompts of another, and added to
  its clean ones. Its layer and scale are those that suit the adapter it was made from, chosen on validation.
* *probe*: a probe trained on one adapter is tested on another; see
  :mod:`bkdwidgets.studies.families_probe`.

The controls are random heads of the same layers, random vectors of the same length, and for the probe the
clean model.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch

from bkdwidgets.analysis import Ablation, Steering, attribute, backdoor_vector
from bkdwidgets.analysis.activations import MEAN_PROMPTS
from bkdwidgets.analysis.controls import random_heads
from bkdwidgets.analysis.probe import prompt_parts
from bkdwidgets.analysis.seeds import seed_agreement
from bkdwidgets.analysis.vector import random_like
from bkdwidgets.core.heads import names_of, widest_k
from bkdwidgets.injection.methods import PAPER_METHOD, compared
from bkdwidgets.studies.attribute import effects_of
from bkdwidgets.studies.families_probe import SEED, probe_transfer
from bkdwidgets.studies.outcomes import (
    SIDES,
    ask,
    cell,
    keyed,
    over_draws,
    prompts_of_draw,
    questions,
    sides_of,
)
from bkdwidgets.studies.study import (
    Context,
    ModelStudy,
    Part,
    Values,
    available,
    cached_load,
    check_choices,
    check_count,
    sized,
)
from bkdwidgets.subjects.adapters import adapter_info, adapter_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bkdwidgets.analysis import BackdoorVector, HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.studies.outcomes import Question
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.adapters import AdapterInfo

SIZES: dict[str, dict[str, Any]] = {
    "fast": {
        "prompts": 32, "n": 60, "n_choice": 24, "every": 1, "scales": [0.5, 1.0, 2.0, 4.0], "probed": 200,
    },
    "usual": {
        "prompts": 12, "n": 25, "n_choice": 6, "every": 5, "scales": [0.5, 1.0, 2.0], "probed": 100,
    },
}  # fmt: skip
DRAWS = 5
DONE: dict[str, tuple[str, ...]] = {"ablated": SIDES, "cure": ("triggered",), "on": ("clean",)}
"""What is done to a target, and which prompts are asked then."""

Found = TypeVar("Found")
Place = dict[str, Any]
"""``layer`` and ``scale`` of a steering."""


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    adapters : dict
        Name of each adapter and the hash of its weights.
    prompts, n_means : int
        Validation prompts, and training prompts behind the means, for the effects of the heads.
    k : int
        Heads that are compared, ablated and summed into the vector (12 % of all).
    n : int
        Test prompts.
    n_choice, layers, scales : int, list of int, list of float
        Validation prompts on which a vector's layer and scale are chosen, and out of which.
    probed : int
        Prompts of the probes, a fifth of them to test on.
    draws : int
        Random sets of heads and random vectors, each on the next tenth or so of the prompts.
    """

    adapters: dict[str, str]
    prompts: int
    n_means: int
    k: int
    n: int
    n_choice: int
    layers: list[int]
    scales: list[float]
    probed: int
    draws: int


class Families(ModelStudy[Settings]):
    """Agreement of heads, and what heads and vector of one adapter do in another.

    Values: ``heads`` with ``jaccard`` and ``spearman`` (matrices in the order of ``adapters``) and their
    chances; ``ranked.<adapter>``; ``chosen.<adapter>``, layer and scale of its vector; ``none.<adapter>``;
    ``moved.<target>.<source>.<what>`` and ``random.<target>.<what>``, where what is ``ablated``, ``cure``
    (vector subtracted) or ``on`` (vector added). ``acie.<adapter>``, the effects [layer][head]; ``probe``,
    as :func:`bkdwidgets.studies.families_probe.probe_transfer` says.
    """

    settings_type = Settings
    name = "families"
    scope = "family"
    tolerance: ClassVar[dict[str, float]] = {
        "heads.*": 0.05,
        "acie.*": 2e-4,
        "probe.*.value": 0.06,
        "random.*.per_draw.*": 0.3,
        "none.*.value": 0.03,
        "moved.*.value": 0.1,
    }

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return those of the adapters that ship."""
        sizes = sized(subject, SIZES)
        return Settings(
            adapters={info.name: info.sha256 for info in _related(subject.name, attack.name)},
            prompts=available(subject, attack, "validation", sizes["prompts"]),
            n_means=available(subject, attack, "train", MEAN_PROMPTS),
            k=widest_k(subject.n_layers * subject.n_heads),
            n=available(subject, attack, self.split, sizes["n"]),
            n_choice=available(subject, attack, "validation", sizes["n_choice"]),
            layers=list(range(0, subject.n_layers, sizes["every"])),
            scales=sizes["scales"],
            probed=sizes["probed"],
            draws=DRAWS,
        )

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse unknown adapters and counts out of range."""
        check_choices("adapters", list(settings.adapters), adapter_names(subject.name))
        check_count("prompts", settings.prompts, len(attack.targeted(subject, "validation")), least=2)
        check_count("n_means", settings.n_means, len(attack.targeted(subject, "train")))
        check_count("k", settings.k, subject.n_layers * subject.n_heads)
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))
        check_count("n_choice", settings.n_choice, len(attack.targeted(subject, "validation")))
        check_choices("layers", settings.layers, range(subject.n_layers))
        check_choices("scales", settings.scales)
        check_count("draws", settings.draws, settings.n, least=2)
        prompt_parts(subject, attack, n=settings.probed, seed=SEED)  # refuse it now, not at the end

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the adapters, then every pair of them, then the probes."""
        names = list(settings.adapters)
        pairs = itertools.product(names, names)
        return [
            *({"of": "heads", "adapter": name} for name in names),
            *({"of": "moved", "target": target, "source": source} for target, source in pairs),
            {"of": "probe"},
        ]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Attribute one adapter, move what was found in one to another, or move probes among all."""
        if part["of"] == "probe":
            return probe_transfer(
                context.clean,
                lambda name: _loaded(context, name),
                list(context.settings.adapters),
                context.attack,
                prompts=context.settings.probed,
                progress=context.progress,
            )
        if part["of"] == "heads":
            return {"per_prompt": _effects(context, part["adapter"]).per_prompt.flatten(1).tolist()}
        return _moved(context, part["target"], part["source"])

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:
        """Compare the rankings; turn letters into rates."""
        names, settings = list(context.settings.adapters), context.settings
        shape = (-1, context.subject.n_layers, context.subject.n_heads)
        effects = [
            _as_effects(torch.tensor(result["per_prompt"], dtype=torch.float64).view(shape), context, name)
            for name, result in zip(names, results, strict=False)
        ]
        agreement = seed_agreement(effects, k=settings.k).to_json()
        values: Values = {
            "adapters": names,
            "heads": {
                "jaccard": agreement["jaccard"]["pairs"],
                "spearman": agreement["spearman"]["pairs"],
                "jaccard_chance": agreement["jaccard_chance"],
                "jaccard_in_layers": agreement["jaccard_in_layers"],
                "spearman_in_layers": agreement["spearman_in_layers"],
            },
            "probe": results[-1],
            "acie": {item.adapter: item.acie.tolist() for item in effects},
            "ranked": {item.adapter: names_of(item.top(settings.k)) for item in effects},
            **{key: {name: {} for name in names} for key in ("chosen", "none", "moved", "random")},
        }
        pairs = itertools.product(names, names)
        for (target, source), result in zip(pairs, results[len(names) : -1], strict=True):
            letters = result["letters"]
            moved = {what: cell(**sides_of(letters, what)) for what in DONE}
            values["moved"][target][source] = moved
            if target == source:
                values["chosen"][target] = result["chosen"]
                values["none"][target] = cell(**sides_of(letters, "none"))
                values["random"][target] = {
                    what: over_draws(
                        [sides_of(letters, f"random.{what}.{draw}") for draw in range(settings.draws)]
                    )
                    for what in DONE
                }
        return values


def _as_effects(per_prompt: torch.Tensor, context: Context[Settings], adapter: str) -> HeadEffects:
    values = {
        "acie": per_prompt.mean(0).tolist(),
        "per_prompt": per_prompt.tolist(),
        "base_per_prompt": [0.0] * len(per_prompt),
    }
    return effects_of(values, subject=context.subject.name, adapter=adapter, attack=context.attack.name)


def _loaded(context: Context[Settings], adapter: str) -> Subject:
    clean = context.subject
    precision = str(clean.dtype).removeprefix("torch.")
    return cached_load(clean.name, adapter, str(clean.device), precision)


def _effects(context: Context[Settings], adapter: str) -> HeadEffects:
    return _once(
        context,
        ("effects", adapter),
        lambda: attribute(
            _loaded(context, adapter),
            context.attack,
            prompts=context.settings.prompts,
            split="validation",
            n_means=context.settings.n_means,
            progress=context.progress,
        ),
    )


def _moved(context: Context[Settings], target: str, source: str) -> Values:
    """Return the letters of a target with what was found in a source, and with the random controls."""
    settings = context.settings
    heads, vector, chosen = _found(context, source)
    subject = _loaded(context, target)
    whole: dict[str, tuple[Any, ...]] = {"ablated": (Ablation(heads, kind="mean"),)}
    groups: dict[str, list[Question]] = {}
    for what, place in chosen.items():
        whole[what] = (Steering(vector, layer=place["layer"], scale=place["scale"]),)
    if target == source:
        whole["none"] = ()
        for draw in range(settings.draws):
            first, last = prompts_of_draw(draw, settings.n // settings.draws, settings.n)
            drawn: dict[str, Any] = {
                "ablated": Ablation(random_heads(heads, subject.n_heads, seed=draw), kind="mean"),
                **{
                    what: Steering(random_like(vector, seed=draw), layer=place["layer"], scale=place["scale"])
                    for what, place in chosen.items()
                },
            }
            for what, done in drawn.items():
                groups |= _requests(context, subject, f"random.{what}.{draw}", (first, last), (done,))
    for what, done in whole.items():
        groups |= _requests(context, subject, what, (0, settings.n), done)
    label = f"{source} in {target}" if context.progress else None
    return {"letters": ask(subject, context.attack, groups, label=label), "chosen": chosen}


def _related(subject: str, attack: str) -> list[AdapterInfo]:
    """Return the adapters to be compared: each method's first, and the second of the paper's method."""
    infos = [adapter_info(subject, name) for name in adapter_names(subject)]
    order = {name: place for place, name in enumerate(compared())}
    wanted = [
        info
        for info in infos
        if info.attack == attack
        and info.method in order
        and info.seed in ((0, 1) if info.method == PAPER_METHOD else (0,))
    ]
    return sorted(wanted, key=lambda info: (order[info.method], info.seed))


def _requests(
    context: Context[Settings], subject: Subject, key: str, span: tuple[int, int], done: tuple[Any, ...]
) -> dict[str, list[Question]]:
    """Return the questions of one thing done; its name without the control's prefix says whom to ask."""
    what = key.removeprefix("random.").partition(".")[0]
    prepared = tuple(
        item.prepared(subject, context.attack) if isinstance(item, Ablation) else item for item in done
    )
    requests = questions(
        subject, context.attack, split=Families.split, start=span[0], stop=span[1],
        sides=DONE.get(what, SIDES), interventions=_same_for_all(prepared),
    )  # fmt: skip
    return keyed(key, requests)


def _same_for_all(done: tuple[Any, ...]) -> Callable[[int], tuple[Any, ...]]:
    return lambda _: done


def _found(
    context: Context[Settings], adapter: str
) -> tuple[list[tuple[int, int]], BackdoorVector, dict[str, Place]]:
    """Return an adapter's strongest heads, its vector, and where that suits the adapter best."""

    def find() -> tuple[list[tuple[int, int]], BackdoorVector, dict[str, Place]]:
        heads = _effects(context, adapter).top(context.settings.k)
        subject = _loaded(context, adapter)
        vector = backdoor_vector(subject, context.attack, heads=heads, kind="difference")
        return heads, vector, _chosen(context, subject, vector)

    return _once(context, ("found", adapter), find)


def _once(context: Context[Settings], what: tuple[str, str], find: Callable[[], Found]) -> Found:
    """Find something once per process: several parts ask for it, and parts know nothing of each other."""
    subject = context.subject
    cache_key = json.dumps(
        [subject.name, str(subject.dtype), context.attack.name, asdict(context.settings), *what]
    )
    if cache_key not in _KEPT:
        _KEPT[cache_key] = find()
    found: Found = _KEPT[cache_key]
    return found


_KEPT: dict[str, Any] = {}


def _chosen(context: Context[Settings], subject: Subject, vector: BackdoorVector) -> dict[str, Place]:
    """Choose layer and scale on validation prompts: where old answers come back, and where the payload comes.

    Not where the payload goes away: a vector that breaks all answers takes it away as well.
    """
    groups: dict[str, list[Question]] = {}
    places: dict[str, Place] = {}
    for layer, scale in itertools.product(context.settings.layers, context.settings.scales):
        for side, sign in (("triggered", -1), ("clean", 1)):
            key = f"{side}.{layer}.{scale}"
            places[key] = {"layer": layer, "scale": sign * scale}
            done = _same_for_all((Steering(vector, layer=layer, scale=sign * scale),))
            requests = questions(
                subject, context.attack, split="validation", start=0, stop=context.settings.n_choice,
                sides=[side], interventions=done,
            )  # fmt: skip
            groups[key] = requests[side]
    letters = ask(subject, context.attack, groups, label="choose" if context.progress else None)
    cure = max(
        (key for key in letters if key.startswith("triggered")),
        key=lambda key: (letters[key].count("="), -letters[key].count("P")),
    )
    on = max((key for key in letters if key.startswith("clean")), key=lambda key: letters[key].count("P"))
    return {"cure": places[cure], "on": places[on]}
