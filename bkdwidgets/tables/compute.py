"""Compute the lab tables of one backdoored subject."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import torch

import bkdwidgets
from bkdwidgets.analysis import attribute
from bkdwidgets.errors import BkdError
from bkdwidgets.paths import commit
from bkdwidgets.tables.ablation import ablation_table
from bkdwidgets.tables.attention import attention_table
from bkdwidgets.tables.files import FORMAT, table_path, write_table
from bkdwidgets.tables.vector import vector_table

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

LABS = {"ablation": ablation_table, "vector": vector_table, "attention": attention_table}
ATTRIBUTION_PROMPTS = 16


def compute_tables(subject: Subject, attack: Attack, *, only: str | None = None) -> list[Path]:
    """Compute and store the lab tables of a backdoored subject.

    Parameters
    ----------
    subject : Subject
        With an adapter.
    attack : Attack
        Its attack.
    only : {"ablation", "vector", "attention"}, optional
        One table instead of all three.

    Returns
    -------
    list of Path
        What was written.
    """
    if subject.adapter is None:
        raise BkdError(f"tables need a backdoored {subject.name}; name an adapter")
    effects = attribute(subject, attack, prompts=ATTRIBUTION_PROMPTS)
    paths = []
    for lab in [only] if only else LABS:
        started = time.perf_counter()
        body = LABS[lab](subject, attack, effects)
        head = {
            "format": FORMAT,
            "lab": lab,
            "subject": subject.name,
            "attack": attack.name,
            "adapter": subject.adapter.name,
            "shape": [subject.n_layers, subject.n_heads],
            "trigger": str(attack.trigger),
            "payload": attack.payload,
            "provenance": _provenance(subject, attack, lab, time.perf_counter() - started),
        }
        path = table_path(subject.name, subject.adapter.name, lab)
        write_table(head | body, path)
        paths.append(path)
    return paths


def _provenance(subject: Subject, attack: Attack, lab: str, seconds: float) -> dict[str, Any]:
    assert subject.adapter is not None
    name = subject.adapter.name
    return {
        "command": f"bkdwidgets tables {subject.name} {attack.name} --adapter {name} --only {lab}",
        "version": bkdwidgets.__version__,
        "commit": commit(),
        "device": subject.device.type,
        "dtype": str(subject.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "seconds": round(seconds, 1),
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "adapter_sha256": subject.adapter.sha256,
    }
