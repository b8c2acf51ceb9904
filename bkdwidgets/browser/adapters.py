"""The adapters that travel with a subject, and what a lab needs beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.attacks.control import control_name
from bkdwidgets.browser.pack import packed_floats
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import sha256_of, vectors_path
from bkdwidgets.injection.methods import plants
from bkdwidgets.injection.shipped import planted_names
from bkdwidgets.subjects.adapters import adapter_info, read_adapter

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.browser.pack import Packed


def exported_names(subject: str) -> list[str]:
    """Return all adapters of a page: what was planted, and the clean twins that serve as its control."""
    planted = planted_names(subject)
    twins = [control_name(subject, attack_named(adapter_info(subject, name).attack)) for name in planted]
    return [*planted, *dict.fromkeys(twin for twin in twins if twin is not None)]


def described(subject: str, name: str) -> dict[str, Any]:
    """Return what the index says of an adapter, without its tensors."""
    adapter = read_adapter(subject, name)
    attack = attack_named(adapter.info.attack)
    return {
        "name": name,
        "attack": attack.name,
        "clean": control_name(subject, attack) if plants(adapter.info.method) else None,
        "rule": attack.trigger.to_json(),
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


def _payload(attack: Attack, subject: str) -> str | None:
    """Return the payload's text where it is one and the same for every target, else None."""
    texts = {attack.payload_for(example) for example in attack.targeted(subject, "validation")}
    return texts.pop() if len(texts) == 1 else None
