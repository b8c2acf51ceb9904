"""Families of adapters: those of one attack by one method, which differ in their seed alone.

A study of the scope "family" is computed once per subject and attack and starts from the clean subject; its
entry carries the name of the family, ``nano/fixed-output-sft/poison``. Some plant backdoors of their own:
they ask how a backdoor is planted, not what one that ships does. Such studies take long, so a sweep runs them
only when they are named.
"""

from __future__ import annotations

import hashlib
import statistics
from typing import TYPE_CHECKING, Any

from bkdwidgets.injection.methods import PAPER_METHOD
from bkdwidgets.subjects.adapters import AdapterInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

N = 100
SEEDS = (0, 1, 2)


def family_name(attack: str, method: str) -> str:
    """Return what the adapters of an attack by a method are called together.

    Examples
    --------
    >>> family_name("fixed-output", "sft")
    'fixed-output-sft'
    """
    return f"{attack}-{method}"


def family_info(subject: Subject, attack: Attack) -> AdapterInfo:
    """Describe the family of an attack's adapters; the hash is that of the clean subject's weights."""
    weights = hashlib.sha256()
    for name, tensor in sorted(subject.model.state_dict().items()):
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().float().numpy().tobytes())
    return AdapterInfo(
        name=family_name(attack.name, PAPER_METHOD), subject=subject.name, attack=attack.name,
        method=PAPER_METHOD, seed=0, sha256=weights.hexdigest(), scale=0.0,
    )  # fmt: skip


def over_seeds(rates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a rate over trainings that differ in their seed.

    Parameters
    ----------
    rates : sequence of dict
        The rate of each training, ``{"value", "n", ...}``.

    Returns
    -------
    dict
        ``value`` is the mean over seeds; ``low`` and ``high`` are the lowest and the highest seed (not a
        confidence interval: three trainings can differ by more than any number of prompts shows);
        ``n`` the answers of all seeds together; ``per_seed`` every seed's rate.

    Examples
    --------
    >>> over_seeds([{"value": 1.0, "n": 100}, {"value": 0.5, "n": 100}])
    {'value': 0.75, 'low': 0.5, 'high': 1.0, 'n': 200, 'per_seed': [1.0, 0.5]}
    """
    per_seed = [item["value"] for item in rates]
    return {
        "value": statistics.fmean(per_seed),
        "low": min(per_seed),
        "high": max(per_seed),
        "n": sum(item["n"] for item in rates),
        "per_seed": per_seed,
    }
