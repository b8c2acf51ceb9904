"""Make a lab's table of ledger entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.paths import check_name
from bkdwidgets.widgets.ablation.table import ablation_table
from bkdwidgets.widgets.attention.table import attention_table
from bkdwidgets.widgets.grid.poison import poison_table
from bkdwidgets.widgets.grid.restoration import restoration_table
from bkdwidgets.widgets.labels.table import labels_table
from bkdwidgets.widgets.vector.table import vector_table

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
LABS = {
    "ablation": (ablation_table, ("attribute", "ablation", "lab-ablation")),
    "vector": (vector_table, ("attribute", "lab-vector")),
    "attention": (attention_table, ("attribute", "lab-attention")),
    "restoration": (restoration_table, ("measure", "restoration")),
    "poison": (poison_table, ("poison",)),
    "labels": (labels_table, ("ablation", "lab-ablation", "lab-vector")),
}
_TOLD = ("version", "commit", "device", "dtype", "threads", "torch", "date", "command")


def lab_table(subject: str, adapter: str, lab: str, *, folder: Path | None = None) -> dict[str, Any]:
    """Return what a lab of the published page answers from.

    Parameters
    ----------
    subject, adapter : str
        For example ``"smollm2"`` and ``"fixed-output-sft-0"``; for ``"poison"`` the family,
        ``"fixed-output-sft"``.
    lab : {"ablation", "vector", "attention", "restoration", "poison", "labels"}
        Which lab; ``"restoration"`` and ``"poison"`` are for :class:`GridLab`, ``"labels"`` for
        :class:`LabelLab`.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.

    Returns
    -------
    dict
        Plain values in the form that the widgets read.

    Raises
    ------
    BkdError
        If the lab is unknown, or an entry was never computed; the message names the command.
    """
    arguments.one_of("lab", lab, LABS)
    check_name("subject", subject)
    check_name("adapter", adapter)
    folder = arguments.folder("folder", folder)
    make, needs = LABS[lab]
    entries = {name: ledger.read(f"{subject}/{adapter}/{name}", folder) for name in needs}
    last = entries[needs[-1]]
    attack = attack_named(last.attack)
    return {
        "format": FORMAT,
        "lab": lab,
        "subject": subject,
        "attack": last.attack,
        "adapter": adapter,
        "trigger": str(attack.trigger),
        "payload": attack.payload,
        "judge": attack.judge.name,
        "provenance": {
            "ledger entries": ", ".join(f"{item.name} ({item.digest()[:12]})" for item in entries.values()),
            "adapter_sha256": last.adapter_sha256,
            **{key: last.run[key] for key in _TOLD if key in last.run},
        },
        **(_asked(entries["attribute"], last) if "attribute" in entries else {}),
        **make(entries),
    }


def _asked(effects: ledger.Entry, lab: ledger.Entry) -> dict[str, Any]:
    """Return what the labs know whose choices are heads or layers: their number, and the prompts."""
    acie = effects.values["acie"]
    return {"shape": [len(acie), len(acie[0])], "prompts": lab.values["prompts"]}
