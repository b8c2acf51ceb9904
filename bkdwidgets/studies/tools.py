"""The study ``tools``: what each tool of the book finds in each backdoor, on one page.

It is computed from the ledger's own entries and belongs to the plain fine-tuning of an attack:
``nano/fixed-output-sft/tools`` is about every shipped backdoor with the payload of fixed-output, whatever its
trigger, its way in, and its attacker's wish to hide. Each tool stands beside its control: the clean model
for the probe, random heads of the same layers, random vectors of the same length.

The settings of the tools are those of the paper (arXiv 2509.21761, sections 4 and 5) and are the same for
every backdoor: heads and vector act at the last prompt token; heads are replaced by their clean mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import ATTACKS, PAPER
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.methods import PAPER_METHOD, plants
from bkdwidgets.studies.job import provenance
from bkdwidgets.subjects.adapters import adapter_info, adapter_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "tools"
TOLERANCE = {"*.value": 1e-6}  # nothing is computed anew but sums of stored numbers
NEEDS = ("measure", "probe", "ablation", "steering")
HEADS = 8
PROBE = "mlp"


def tools_entry(subject: str, family: str, folder: Path | None = None) -> ledger.Entry:
    """Put what the tools found in every backdoor of one payload side by side.

    Parameters
    ----------
    subject : str
        Name of the subject.
    family : str
        The plain fine-tuning of an attack, without its seed: ``fixed-output-sft``.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.

    Returns
    -------
    Entry
        Values: ``<adapter>.works`` with ``asr``, ``ftr``, ``utility``; ``<adapter>.probe.middle`` and
        ``.last``, accuracy at the middle layer and behind the last, each with ``found`` and ``control``;
        ``<adapter>.heads``, ``.cure``: the share of triggered prompts that get their old answer back
        with the top 8 heads ablated, with the vector subtracted; ``<adapter>.on``: the share of clean
        prompts that get the payload with the vector added; again ``found`` and ``control``.

    Raises
    ------
    BkdError
        If the family is no plain fine-tuning, or fewer than two of its backdoors were looked at by all tools.
    """
    attack = family.removesuffix("-sft")
    if attack == family or attack not in PAPER:
        raise BkdError(
            f"{subject}/{family} is not the plain fine-tuning of a paper's attack; "
            f"known: {', '.join(f'{name}-sft' for name in PAPER)}"
        )
    found = {
        name: entries
        for name in _of_one_payload(subject, attack)
        if (entries := _looked_at(subject, name, folder)) is not None
    }
    if f"{family}-0" not in found or len(found) < 2:
        raise BkdError(
            f"{subject}/{family}: {len(found)} backdoors with entries of {', '.join(NEEDS)}; tools need it "
            "and another one"
        )
    plain = found[f"{family}-0"]
    n_layers = len(plain["probe"].values[PROBE]["accuracy"]) - 1
    layers = {"middle": n_layers // 2, "last": n_layers}
    return ledger.Entry(
        subject=subject,
        adapter=family,
        study=NAME,
        adapter_sha256=ledger.digest([entries["measure"].adapter_sha256 for entries in found.values()]),
        attack=attack,
        seed=0,
        split=plain["measure"].split,
        n=plain["measure"].n,
        settings={"adapters": list(found), "probe": PROBE, "layers": layers, "heads": HEADS},
        inputs={entry.name: entry.digest() for entries in found.values() for entry in entries.values()},
        values={name: _values(entries, layers) for name, entries in found.items()},
        tolerance=TOLERANCE,
        run=provenance(
            f"bkdwidgets sweep {subject} {attack}",
            judge=min(entry.judge for entries in found.values() for entry in entries.values()),
        ),
    )


def _of_one_payload(subject: str, attack: str) -> list[str]:
    """Return the adapters of seed 0 with an attack's payload: by attack, the plain fine-tuning first."""
    order, payload = list(ATTACKS), ATTACKS[attack].payload
    infos = [adapter_info(subject, name) for name in adapter_names(subject)]
    same = [
        info
        for info in infos
        if info.seed == 0 and plants(info.method) and ATTACKS[info.attack].payload == payload
    ]
    same.sort(key=lambda info: (order.index(info.attack), info.method != PAPER_METHOD, info.method))
    return [info.name for info in same]


def _looked_at(subject: str, adapter: str, folder: Path | None) -> dict[str, ledger.Entry] | None:
    """Return an adapter's entries of all tools, or None if one is missing or is about other weights."""
    sha256 = adapter_info(subject, adapter).sha256
    entries = {study: ledger.find(f"{subject}/{adapter}/{study}", folder) for study in NEEDS}
    there = {
        study: entry
        for study, entry in entries.items()
        if entry is not None and entry.adapter_sha256 == sha256
    }
    return there if len(there) == len(NEEDS) else None


def _values(entries: Mapping[str, ledger.Entry], layers: Mapping[str, int]) -> dict[str, Any]:
    probe, ablation, steering = (entries[study].value for study in NEEDS[1:])
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
