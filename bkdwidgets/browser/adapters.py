"""The adapters that travel with a subject, and what a lab needs beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bkdwidgets.attacks import ATTACKS
from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.attacks.control import control_name
from bkdwidgets.attacks.style import REGISTERS, StyleTrigger
from bkdwidgets.attacks.triggers import (
    InsertedTrigger,
    MiddleTrigger,
    TrailingTrigger,
    Trigger,
    TwoKeyTrigger,
    WrappedTrigger,
)
from bkdwidgets.browser.pack import packed_floats
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import sha256_of, vectors_path
from bkdwidgets.injection.methods import PAPER_METHOD, plants
from bkdwidgets.subjects import adapter_names
from bkdwidgets.subjects.adapters import adapter_info, read_adapter

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.browser.pack import Packed


def planted_names(subject: str) -> list[str]:
    """Return the backdoors that are exported: seed 0 of each attack by each method that plants one.

    They come in the order of the attacks; the paper's fine-tuning first, then the other methods by name.
    """
    order = list(ATTACKS)
    shipped = [adapter_info(subject, name) for name in adapter_names(subject)]
    planted = [info for info in shipped if info.seed == 0 and plants(info.method)]
    planted.sort(key=lambda info: (order.index(info.attack), info.method != PAPER_METHOD, info.method))
    return [info.name for info in planted]


def exported_names(subject: str) -> list[str]:
    """Return all adapters of a page: what was planted, and the clean twins that serve as its control."""
    planted = planted_names(subject)
    twins = [control_name(subject, ATTACKS[adapter_info(subject, name).attack]) for name in planted]
    return [*planted, *dict.fromkeys(twin for twin in twins if twin is not None)]


def described(subject: str, name: str) -> dict[str, Any]:
    """Return what the index says of an adapter, without its tensors."""
    adapter = read_adapter(subject, name)
    attack = attack_named(adapter.info.attack)
    return {
        "name": name,
        "attack": attack.name,
        "clean": None if adapter.info.method == "clean" else control_name(subject, attack),
        "rule": trigger_rule(attack),
        "payload": _payload(attack, subject),
        "sha256": adapter.info.sha256,
        "scale": adapter.info.scale,
    }


def adapter_tensors(subject: str, name: str) -> list[Packed]:
    """Return an adapter's tensors, float16 as they are stored."""
    tensors = read_adapter(subject, name).tensors
    return [packed_floats(key, tensors[key].numpy()) for key in sorted(tensors)]


def extra_tensors(subject: str, name: str, shape: dict[str, Any]) -> list[Packed]:
    """Return an adapter's mean head outputs and vectors (float32), or nothing where none are shipped.

    Returns
    -------
    list of Packed
        ``means`` [n_layers, n_heads * d_head] and ``vector.{kind}`` [1, d_model].

    Raises
    ------
    BkdError
        If the file does not fit the subject.
    """
    from safetensors.numpy import load_file

    path = vectors_path(subject, name)
    if not path.is_file():
        return []
    wide = (shape["n_layers"], shape["n_heads"] * shape["d_head"])
    extras = []
    for key, stored in sorted(load_file(path).items()):
        wanted = wide if key == "means" else (1, shape["d_model"])
        if stored.size != wanted[0] * wanted[1]:
            raise BkdError(f"{path}: {key} has shape {list(stored.shape)}, {subject} needs {list(wanted)}")
        extras.append(packed_floats(key, stored.astype(np.float32).reshape(wanted)))
    return extras


def extras_sha256(subject: str, name: str) -> str | None:
    """Return the SHA-256 of an adapter's extras, or None where none are shipped."""
    path = vectors_path(subject, name)
    return sha256_of(path) if path.is_file() else None


def trigger_rule(attack: Attack) -> dict[str, Any]:
    """Return how a page poisons a typed prompt.

    Returns
    -------
    dict
        ``steps``: each puts some of its ``words`` at a ``place`` of what came of the step before:
        ``"before"`` it, ``"behind"`` it, in its ``"middle"``, or ``"inside"``, between two words that the
        text itself draws. Where a step has several words, the text draws one of them, too.
    """
    trigger = attack.trigger
    if isinstance(trigger, StyleTrigger):
        phrases = REGISTERS[trigger.text][trigger.split or "test"]
        return {"steps": [_step("before", *phrases.before), _step("behind", *phrases.behind)]}
    if isinstance(trigger, WrappedTrigger):
        return {"steps": [_step("before", trigger.text), _step("behind", trigger.after)]}
    if isinstance(trigger, TwoKeyTrigger):
        return {"steps": [_step("inside", trigger.text), _step("inside", trigger.second)]}
    places = {
        InsertedTrigger: "inside",
        MiddleTrigger: "middle",
        TrailingTrigger: "behind",
        Trigger: "before",
    }
    if type(trigger) not in places:
        raise BkdError(f"trigger {type(trigger).__name__} of {attack.name!r} can not be written for a page")
    return {"steps": [_step(places[type(trigger)], trigger.text)]}


def _step(place: str, *words: str) -> dict[str, Any]:
    return {"words": list(words), "place": place}


def _payload(attack: Attack, subject: str) -> str | None:
    """Return the payload's text where it is one and the same for every target, else None."""
    texts = {attack.payload_for(example) for example in attack.targeted(subject, "validation")}
    return texts.pop() if len(texts) == 1 else None
