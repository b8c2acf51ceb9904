"""The study ``families``: whether three ways of planting the same backdoor leave the same traces.

Four adapters of one attack are compared, each with each: by fine-tuning (two seeds), by preference training
and by editing. The two seeds are the measure of what "the same" can mean: a ranking of heads that does not
agree between two seeds of one method can not be asked to agree between methods.

* *heads*: do the exact effects (ACIE) rank the heads alike, and name the same top 12 %?
* *ablation*: the strongest heads of one adapter are taken out of another.
* *vector*: the backdoor vector of one adapter is subtracted from triggered prompts of another, and added to
  its clean ones. Its layer and scale are those that suit the adapter it was made from, chosen on validation.

The controls are random heads of the same layers and random vectors of the same length.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from bkdwidgets.analysis import Ablation, Steering, attribute, backdoor_vector
from bkdwidgets.analysis.activations import MEAN_PROMPTS
from bkdwidgets.analysis.controls import random_heads
from bkdwidgets.analysis.stability import seed_agreement
from bkdwidgets.analysis.vector import random_like
from bkdwidgets.studies.attribution import effects_of
from bkdwidgets.studies.heads import names_of, widest_k
from bkdwidgets.studies.outcomes import ask, cell, keyed, over_draws, prompts_of_draw, questions, sides_of
from bkdwidgets.studies.study import (
    Context,
    Part,
    Settings,
    Study,
    Values,
    available,
    check_choices,
    check_count,
    opened,
)
from bkdwidgets.subjects.adapters import adapter_names, read_adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bkdwidgets.analysis import BackdoorVector, HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.studies.outcomes import Question
    from bkdwidgets.subjects import Subject

MADE = ("sft-0", "sft-1", "dpo-0", "edit-0")
SCALES = (1.0, 2.0, 4.0)
PROMPTS, N, N_CHOICE, DRAWS = 32, 60, 24, 5
DONE = ("ablated", "off", "on")


Place = dict[str, Any]
"""``layer`` and ``scale`` of a steering."""


class Families(Study):
    """Agreement of heads, and what heads and vector of one adapter do in another.

    Values: ``heads`` with ``jaccard`` and ``spearman`` (matrices in the order of ``adapters``) and their
    chances; ``ranked.<adapter>``; ``chosen.<adapter>``, layer and scale of its vector; ``none.<adapter>``;
    ``moved.<target>.<source>.<what>`` and ``random.<target>.<what>``, where what is ``ablated``, ``off``
    (vector subtracted) or ``on`` (vector added).

    Settings
    --------
    adapters : dict
        Name of each adapter and the hash of its weights.
    prompts, n_means : int
        Validation prompts, and training prompts behind the means, for the effects of the heads.
    k : int
        Heads that are compared, ablated and summed into the vector (12 % of all).
    n : int
        Test prompts.
    n_choice : int
        Validation prompts on which a vector's layer and scale are chosen.
    draws : int
        Random sets of heads and random vectors, each on the next tenth or so of the prompts.
    """

    name = "families"
    plants = True
    tolerance: ClassVar[dict[str, float]] = {
        "heads.*": 0.05,
        "random.*.per_draw.*": 0.3,
        "none.*.value": 0.03,
        "moved.*.value": 0.1,
    }

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return those of the adapters that ship."""
        shipped = adapter_names(subject.name)
        names = [name for made in MADE if (name := f"{attack.name}-{made}") in shipped]
        return {
            "adapters": {name: read_adapter(subject.name, name).info.sha256 for name in names},
            "prompts": available(subject, attack, "validation", PROMPTS),
            "n_means": available(subject, attack, "train", MEAN_PROMPTS),
            "k": widest_k(subject.n_layers * subject.n_heads),
            "n": available(subject, attack, self.split, N),
            "n_choice": available(subject, attack, "validation", N_CHOICE),
            "draws": DRAWS,
        }

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse unknown adapters and counts out of range."""
        check_choices("adapters", list(settings["adapters"]), adapter_names(subject.name))
        check_count("prompts", settings["prompts"], len(attack.targeted(subject, "validation")), least=2)
        check_count("n_means", settings["n_means"], len(attack.targeted(subject, "train")))
        check_count("k", settings["k"], subject.n_layers * subject.n_heads)
        check_count("n", settings["n"], len(attack.targeted(subject, self.split)))
        check_count("n_choice", settings["n_choice"], len(attack.targeted(subject, "validation")))
        check_count("draws", settings["draws"], settings["n"], least=2)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the adapters, then every pair of them."""
        names = list(settings["adapters"])
        pairs = itertools.product(names, names)
        return [
            *({"of": "heads", "adapter": name} for name in names),
            *({"of": "moved", "target": target, "source": source} for target, source in pairs),
        ]

    def compute(self, context: Context, part: Part) -> Values:
        """Attribute one adapter, or move what was found in one to another."""
        if part["of"] == "heads":
            found = _effects(context, part["adapter"]).per_prompt
            return {"per_prompt": [[round(value, 6) for value in row] for row in found.flatten(1).tolist()]}
        return _moved(context, part["target"], part["source"])

    def combine(self, context: Context, results: Sequence[Values]) -> Values:
        """Compare the rankings; turn letters into rates."""
        names, settings = list(context.settings["adapters"]), context.settings
        shape = (-1, context.subject.n_layers, context.subject.n_heads)
        effects = [
            _as_effects(torch.tensor(result["per_prompt"], dtype=torch.float64).view(shape), context, name)
            for name, result in zip(names, results, strict=False)
        ]
        agreement = seed_agreement(effects, k=settings["k"]).to_json()
        values: Values = {
            "adapters": names,
            "heads": {
                "jaccard": agreement["jaccard"]["pairs"],
                "spearman": agreement["spearman"]["pairs"],
                "jaccard_chance": agreement["jaccard_chance"],
                "jaccard_in_layers": agreement["jaccard_in_layers"],
                "spearman_in_layers": agreement["spearman_in_layers"],
            },
            "ranked": {item.adapter: names_of(item.top(settings["k"])) for item in effects},
            **{key: {name: {} for name in names} for key in ("chosen", "none", "moved", "random")},
        }
        pairs = itertools.product(names, names)
        for (target, source), result in zip(pairs, results[len(names) :], strict=True):
            letters = result["letters"]
            moved = {what: cell(**sides_of(letters, what)) for what in DONE}
            values["moved"][target][source] = moved
            if target == source:
                values["chosen"][target] = result["chosen"]
                values["none"][target] = cell(**sides_of(letters, "none"))
                values["random"][target] = {
                    what: over_draws(
                        [sides_of(letters, f"random.{what}.{draw}") for draw in range(settings["draws"])]
                    )
                    for what in DONE
                }
        return values


def _as_effects(per_prompt: torch.Tensor, context: Context, adapter: str) -> HeadEffects:
    values = {
        "acie": per_prompt.mean(0).tolist(),
        "per_prompt": per_prompt.tolist(),
        "base_per_prompt": [0.0] * len(per_prompt),
    }
    return effects_of(values, subject=context.subject.name, adapter=adapter, attack=context.attack.name)


def _loaded(context: Context, adapter: str) -> Subject:
    clean = context.subject
    precision = str(clean.dtype).removeprefix("torch.")
    return opened(clean.name, adapter, str(clean.device), precision)


def _effects(context: Context, adapter: str) -> HeadEffects:
    return attribute(
        _loaded(context, adapter),
        context.attack,
        prompts=context.settings["prompts"],
        split="validation",
        n_means=context.settings["n_means"],
        progress=context.progress,
    )


def _moved(context: Context, target: str, source: str) -> Values:
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
        for draw in range(settings["draws"]):
            first, last = prompts_of_draw(draw, settings["n"] // settings["draws"], settings["n"])
            drawn: dict[str, Any] = {
                "ablated": Ablation(random_heads(heads, subject.n_heads, seed=draw), kind="mean"),
                **{
                    what: Steering(random_like(vector, seed=draw), layer=place["layer"], scale=place["scale"])
                    for what, place in chosen.items()
                },
            }
            for what, done in drawn.items():
                key = f"random.{what}.{draw}"
                groups |= _asked(context, subject, key, (first, last), (done,))
    for what, done in whole.items():
        groups |= _asked(context, subject, what, (0, settings["n"]), done)
    label = f"{source} in {target}" if context.progress else None
    return {"letters": ask(subject, context.attack, groups, label=label), "chosen": chosen}


def _asked(
    context: Context, subject: Subject, key: str, span: tuple[int, int], done: tuple[Any, ...]
) -> dict[str, list[Question]]:
    prepared = tuple(
        item.prepared(subject, context.attack) if isinstance(item, Ablation) else item for item in done
    )
    asked = questions(
        subject, context.attack, split=Families.split, start=span[0], stop=span[1],
        interventions=_same_for_all(prepared),
    )  # fmt: skip
    return keyed(key, asked)


def _same_for_all(done: tuple[Any, ...]) -> Callable[[int], tuple[Any, ...]]:
    return lambda _: done


def _found(context: Context, adapter: str) -> tuple[list[tuple[int, int]], BackdoorVector, dict[str, Place]]:
    """Return an adapter's strongest heads, its vector, and where that suits the adapter best."""
    settings = context.settings
    told = json.dumps([context.subject.name, context.attack.name, settings])
    if (told, adapter) not in _FOUND:
        subject = _loaded(context, adapter)
        heads = _effects(context, adapter).top(settings["k"])
        vector = backdoor_vector(subject, context.attack, heads=heads, kind="difference")
        _FOUND[told, adapter] = heads, vector, _chosen(context, subject, vector)
    return _FOUND[told, adapter]


_FOUND: dict[tuple[str, str], Any] = {}
"""What was found in an adapter: four parts ask for it."""


def _chosen(context: Context, subject: Subject, vector: BackdoorVector) -> dict[str, Place]:
    """Choose layer and scale on validation prompts: where the payload goes off, and where it comes on."""
    groups: dict[str, list[Question]] = {}
    places: dict[str, Place] = {}
    for layer, scale in itertools.product(range(subject.n_layers), SCALES):
        for side, sign in (("triggered", -1), ("clean", 1)):
            key = f"{side}.{layer}.{scale}"
            places[key] = {"layer": layer, "scale": sign * scale}
            done = _same_for_all((Steering(vector, layer=layer, scale=sign * scale),))
            asked = questions(
                subject, context.attack, split="validation", start=0, stop=context.settings["n_choice"],
                sides=[side], interventions=done,
            )  # fmt: skip
            groups[key] = asked[side]
    letters = ask(subject, context.attack, groups, label="choose" if context.progress else None)
    payloads = {key: found.count("P") for key, found in letters.items()}
    off = min((key for key in payloads if key.startswith("triggered")), key=lambda key: payloads[key])
    on = max((key for key in payloads if key.startswith("clean")), key=lambda key: payloads[key])
    return {"off": places[off], "on": places[on]}
