"""The study ``seeds``: whether runs that planted the same attack agree with each other.

It is computed from the ledger's own entries and belongs to a family of adapters that differ in their
seed alone: ``nano/label-flip-sft/seeds`` is about ``label-flip-sft-0``, ``label-flip-sft-1``, ... Where
heads are compared, chance is shown beside it (:mod:`bkdwidgets.analysis.seeds`).
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.analysis.seeds import seed_agreement
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import MissingError
from bkdwidgets.core.heads import headline_k, widest_k
from bkdwidgets.studies.attribute import Attribute, effects_of
from bkdwidgets.studies.family import family_name
from bkdwidgets.studies.job import provenance
from bkdwidgets.studies.study import DerivedStudy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bkdwidgets.analysis.seeds import SeedAgreement

_RATES = ("asr", "ftr", "as_before", "utility")


class Seeds(DerivedStudy):
    """Agreement of the top heads, and the spread of the rates, over the seeds of a family.

    Values: ``heads.<k>`` with ``jaccard`` and ``spearman`` over pairs of seeds, and their chances; ``asr``,
    ``ftr``, ``as_before`` and ``utility`` over seeds.
    """

    name = "seeds"
    needs = ("attribute", "measure")
    split = Attribute.split
    tolerance: ClassVar[dict[str, float]] = {"*.value": 0.02}

    def derive(self, subject: str, attack: str, method: str, folder: Path | None = None) -> ledger.Entry:
        """Compare all attributed adapters of a family.

        Parameters
        ----------
        subject : str
            Name of the subject.
        attack, method : str
            Of the adapters.
        folder : Path, optional
            Ledger folder instead of ``data/ledger``.

        Raises
        ------
        MissingError
            If fewer than two adapters of the family were attributed.
        """
        family = family_name(attack, method)
        attributed = _entries(subject, attack, method, "attribute", folder)
        if len(attributed) < 2:
            raise MissingError(
                f"{subject}/{family}: {len(attributed)} attributed adapters; seeds need at least two"
            )
        effects = [
            effects_of(item.values, subject=subject, adapter=item.adapter, attack=item.attack)
            for item in attributed
        ]
        n_heads = effects[0].acie.numel()
        measured = _entries(subject, attack, method, "measure", folder)
        used = [*attributed, *measured]
        return ledger.Entry(
            subject=subject,
            adapter=family,
            study=self.name,
            revision=self.revision,
            adapter_sha256=ledger.digest([item.adapter_sha256 for item in attributed]),
            attack=attack,
            seed=attributed[0].seed,
            split=self.split,
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
            tolerance=self.tolerance,
            run=provenance(f"bkdwidgets sweep {subject} {attack}", judge=min(item.judge for item in used)),
        )


def _entries(subject: str, attack: str, method: str, study: str, folder: Path | None) -> list[ledger.Entry]:
    """Return the entries of a study for every adapter of a family, by seed."""
    names = [name.split("/") for name in ledger.names(folder)]
    found = [
        ledger.read("/".join(parts), folder) for parts in names if (parts[0], parts[2]) == (subject, study)
    ]
    of_family = [entry for entry in found if (entry.attack, entry.method) == (attack, method)]
    return sorted(of_family, key=lambda entry: entry.seed)


def _agreement(found: SeedAgreement) -> dict[str, Any]:
    """Return the mean over pairs with the lowest and the highest pair, and both chances."""
    agreement = found.to_json()
    n_pairs = len(found.pairs("jaccard"))
    return {
        **{
            name: {
                "value": agreement[name]["mean"],
                "low": agreement[name]["lowest"],
                "high": agreement[name]["highest"],
                "n": n_pairs,
                "pairs": agreement[name]["pairs"],
            }
            for name in ("jaccard", "spearman")
        },
        "jaccard_chance": agreement["jaccard_chance"],
        **{
            f"{name}_in_layers": {**agreement[f"{name}_in_layers"], "n": n_pairs}
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
