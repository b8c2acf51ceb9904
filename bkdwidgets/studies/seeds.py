"""The study ``seeds``: whether runs that planted the same attack agree with each other.

It is computed from the ledger's own entries and belongs to a family of adapters that differ in their
seed alone: ``nano/label-flip-sft/seeds`` is about ``label-flip-sft-0``, ``label-flip-sft-1``, ... Where
heads are compared, chance is shown beside it (:mod:`bkdwidgets.analysis.stability`).
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bkdwidgets.analysis.stability import seed_agreement
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import headline_k, widest_k
from bkdwidgets.studies.attribute import Attribute, effects_of
from bkdwidgets.studies.job import provenance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bkdwidgets.analysis.stability import SeedAgreement

NAME = "seeds"
TOLERANCE = {"*.value": 0.02}
_RATES = ("asr", "ftr", "as_before", "utility")


def family_of(adapter: str) -> str | None:
    """Return the name that adapters of different seeds share, or None if a name ends in no seed.

    Examples
    --------
    >>> family_of("fixed-output-sft-3")
    'fixed-output-sft'
    """
    start, _, seed = adapter.rpartition("-")
    return start if start and seed.isdecimal() else None


def seeds_entry(subject: str, family: str, folder: Path | None = None) -> ledger.Entry:
    """Compare all attributed adapters of a family.

    Parameters
    ----------
    subject : str
        Name of the subject.
    family : str
        Name of the adapters without their seed.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.

    Raises
    ------
    BkdError
        If fewer than two adapters of the family were attributed.
    """
    attributed = _entries(subject, family, Attribute.name, folder)
    if len(attributed) < 2:
        raise BkdError(f"{subject}/{family}: {len(attributed)} attributed adapters; seeds need at least two")
    effects = [
        effects_of(item.values, subject=subject, adapter=item.adapter, attack=item.attack)
        for item in attributed
    ]
    n_heads = effects[0].acie.numel()
    measured = _entries(subject, family, "measure", folder)
    used = [*attributed, *measured]
    return ledger.Entry(
        subject=subject,
        adapter=family,
        study=NAME,
        adapter_sha256=ledger.digest([item.adapter_sha256 for item in attributed]),
        attack=attributed[0].attack,
        seed=attributed[0].seed,
        split=Attribute.split,
        n=len(attributed),
        settings={"adapters": [item.adapter for item in attributed]},
        inputs={item.name: item.digest() for item in used},
        values=ledger.significant(
            {
                "heads": {
                    str(k): _agreement(seed_agreement(effects, k=k))
                    for k in (headline_k(n_heads), widest_k(n_heads))
                },
                **{name: _over_seeds(measured, name) for name in _RATES if measured},
            }
        ),
        tolerance=TOLERANCE,
        run=provenance(
            f"bkdwidgets sweep {subject} {attributed[0].attack}", judge=min(item.judge for item in used)
        ),
    )


def _entries(subject: str, family: str, study: str, folder: Path | None) -> list[ledger.Entry]:
    """Return the entries of a study for every adapter of a family, by seed."""
    wanted = []
    for name in ledger.names(folder):
        named, adapter, last = name.split("/")
        if (named, family_of(adapter), last) == (subject, family, study):
            wanted.append(ledger.read(name, folder))
    return sorted(wanted, key=lambda entry: entry.seed)


def _agreement(found: SeedAgreement) -> dict[str, Any]:
    """Return the mean over pairs with the lowest and the highest pair, and both chances."""
    told = found.to_json()
    n_pairs = len(found.pairs("jaccard"))
    return {
        **{
            name: {
                "value": told[name]["mean"],
                "low": told[name]["lowest"],
                "high": told[name]["highest"],
                "n": n_pairs,
                "pairs": told[name]["pairs"],
            }
            for name in ("jaccard", "spearman")
        },
        "jaccard_chance": told["jaccard_chance"],
        **{
            f"{name}_in_layers": {**told[f"{name}_in_layers"], "n": n_pairs}
            for name in ("jaccard", "spearman")
        },
    }


def _over_seeds(measured: Sequence[ledger.Entry], name: str) -> dict[str, Any]:
    """Return a rate's mean over seeds with the lowest and the highest seed."""
    values = [item.value(name)["value"] for item in measured]
    return {
        "value": statistics.fmean(values),
        "low": min(values),
        "high": max(values),
        "n": len(values),
        "per_seed": values,
    }
