"""The study ``tools``: what each tool of the book finds in each backdoor, on one page.

It is computed from the ledger's own entries and belongs to the plain fine-tuning of an attack:
``nano/fixed-output-sft/tools`` is about every shipped backdoor with the payload of fixed-output, whatever its
trigger, its way in, and its attacker's wish to hide. Each tool stands beside its control: the clean model
for the probe, random heads of the same layers, random vectors of the same length.

The settings of the tools are those of the paper (arXiv 2509.21761, sections 4 and 5) and are the same for
every backdoor: heads and vector act at the last prompt token; heads are replaced by their clean mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.attacks import ATTACKS, PAPER
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError, MissingError
from bkdwidgets.injection.methods import PAPER_METHOD, plants
from bkdwidgets.studies.family import family_name
from bkdwidgets.studies.job import provenance
from bkdwidgets.studies.study import DerivedStudy
from bkdwidgets.subjects.adapters import adapter_info, adapter_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects.adapters import AdapterInfo

HEADS = 8
PROBE = "mlp"


class Tools(DerivedStudy):
    """What the tools found in every backdoor of one payload, side by side.

    Values: ``<adapter>.works`` with ``asr``, ``ftr``, ``utility``; ``<adapter>.probe.middle`` and ``.last``,
    accuracy at the middle layer and behind the last, each with ``found`` and ``control``;
    ``<adapter>.heads``, ``.cure``: the share of triggered prompts that get their old answer back with the top
    8 heads ablated, with the vector subtracted; ``<adapter>.on``: the share of clean prompts that get the
    payload with the vector added; again ``found`` and ``control``.
    """

    name = "tools"
    needs = ("measure", "probe", "ablation", "steering")
    tolerance: ClassVar[dict[str, float]] = {"*.value": 1e-6}  # nothing is computed anew but stored numbers

    def applies(self, attack: Attack, method: str = PAPER_METHOD) -> bool:
        """Tell whether it is the plain fine-tuning of an attack of the paper."""
        return method == PAPER_METHOD and attack.name in PAPER

    def derive(self, subject: str, attack: str, method: str, folder: Path | None = None) -> ledger.Entry:
        """Put what the tools found in every backdoor of one payload side by side.

        Parameters
        ----------
        subject : str
            Name of the subject.
        attack, method : str
            The plain fine-tuning of an attack of the paper; the others have its payload.
        folder : Path, optional
            Ledger folder instead of ``data/ledger``.

        Raises
        ------
        BkdError
            If it is not the plain fine-tuning of a paper's attack; as MissingError, if fewer than two of its
            backdoors were looked at by all tools.
        """
        family = family_name(attack, method)
        if method != PAPER_METHOD or attack not in PAPER:
            known = ", ".join(family_name(name, PAPER_METHOD) for name in PAPER)
            raise BkdError(
                f"{subject}/{family} is not the plain fine-tuning of a paper's attack; known: {known}"
            )
        same = _of_one_payload(subject, attack)
        looked_at = {info.name: _looked_at(info, self.needs, folder) for info in same}
        found = {name: entries for name, entries in looked_at.items() if entries is not None}
        plain = next((found.get(i.name) for i in same if (i.attack, i.method) == (attack, method)), None)
        if plain is None or len(found) < 2:
            raise MissingError(
                f"{subject}/{family}: {len(found)} backdoors with entries of {', '.join(self.needs)}; tools "
                "need it and another one"
            )
        n_layers = len(plain["probe"].values[PROBE]["accuracy"]) - 1
        layers = {"middle": n_layers // 2, "last": n_layers}
        used = [entry for entries in found.values() for entry in entries.values()]
        return ledger.Entry(
            subject=subject,
            adapter=family,
            study=self.name,
            revision=self.revision,
            adapter_sha256=ledger.digest([entries["measure"].adapter_sha256 for entries in found.values()]),
            attack=attack,
            seed=0,
            split=plain["measure"].split,
            n=plain["measure"].n,
            settings={"adapters": list(found), "probe": PROBE, "layers": layers, "heads": HEADS},
            inputs={entry.name: entry.digest() for entry in used},
            values={name: _values(entries, layers) for name, entries in found.items()},
            tolerance=self.tolerance,
            run=provenance(f"bkdwidgets sweep {subject} {attack}", judge=min(entry.judge for entry in used)),
        )


def _of_one_payload(subject: str, attack: str) -> list[AdapterInfo]:
    """Return the adapters of seed 0 with an attack's payload: by attack, the plain fine-tuning first."""
    order, payload = list(ATTACKS), ATTACKS[attack].payload
    infos = [adapter_info(subject, name) for name in adapter_names(subject)]
    same = [
        info
        for info in infos
        if info.seed == 0 and plants(info.method) and ATTACKS[info.attack].payload == payload
    ]
    same.sort(key=lambda info: (order.index(info.attack), info.method != PAPER_METHOD, info.method))
    return same


def _looked_at(
    info: AdapterInfo, needs: tuple[str, ...], folder: Path | None
) -> dict[str, ledger.Entry] | None:
    """Return an adapter's entries of all tools, or None if one is missing or is about other weights."""
    entries = {study: ledger.find(f"{info.subject}/{info.name}/{study}", folder) for study in needs}
    there = {
        study: entry
        for study, entry in entries.items()
        if entry is not None and entry.adapter_sha256 == info.sha256
    }
    return there if len(there) == len(needs) else None


def _values(entries: Mapping[str, ledger.Entry], layers: Mapping[str, int]) -> dict[str, Any]:
    probe, ablation, steering = (entries[study].value for study in ("probe", "ablation", "steering"))
    heads = f"mean.last.{HEADS}.as_before"
    return {
        "works": {rate: entries["measure"].value(rate) for rate in ("asr", "ftr", "utility")},
        "probe": {
            place: {
                "found": probe(f"{PROBE}.accuracy.{layer}"),
                "control": probe(f"{PROBE}.control.{layer}"),
            }
            for place, layer in layers.items()
        },
        "heads": {"found": ablation(heads), "control": ablation(f"random.{heads}")},
        "cure": _of_vector(steering, "cure", "as_before"),
        "on": _of_vector(steering, "on", "ftr"),
    }


def _of_vector(value: Any, chosen: str, rate: str) -> dict[str, Any]:
    """Return what the paper's vector does at the place chosen on validation, and what random ones do."""
    return {
        "found": value(f"paper.last.{chosen}.{rate}"),
        "control": value(f"random.paper.last.{chosen}.{rate}"),
    }
