"""Benchmarks: how fast, against what, on which machine. Timings are shown, never tested.

Both sides of a comparison run in one process, one after the other on the same prompts, and a median over
repeats counts. On a machine that does other things meanwhile the seconds mean little; ratios suffer less.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import attack
from bkdwidgets.bench.acie import bench_acie
from bkdwidgets.bench.chain import bench_chain
from bkdwidgets.bench.machine import machine
from bkdwidgets.bench.scaling import bench_scaling
from bkdwidgets.bench.screen import bench_screen
from bkdwidgets.core.errors import unknown
from bkdwidgets.subjects.adapters import adapter_names
from bkdwidgets.subjects.specs import SUBJECTS, subjects_of_budget

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BENCHES", "bench"]


def _adapter(subject: str, attack_name: str) -> str | None:
    """Return the shipped adapter of seed 0, or None: the clean model takes as long."""
    name = f"{attack_name}-sft-0"
    return name if name in adapter_names(subject) else None


def _acie(attack_name: str) -> dict[str, Any]:
    subject = subjects_of_budget("usual")[0]
    return bench_acie(subject, attack(attack_name), adapter=_adapter(subject, attack_name))


def _screen(subject: str) -> dict[str, Any]:
    return bench_screen(subject, attack("fixed-output"), adapter=_adapter(subject, "fixed-output"))


def _chain(subject: str) -> dict[str, Any]:
    return bench_chain(subject, attack("fixed-output"), adapter="fixed-output-sft-0")


BENCHES: dict[str, Callable[[], dict[str, Any]]] = {
    "acie-fixed-output": lambda: _acie("fixed-output"),
    "acie-label-flip": lambda: _acie("label-flip"),
    **{f"screen-{name}": partial(_screen, name) for name in subjects_of_budget("usual")},
    "scaling": lambda: bench_scaling(attack("fixed-output")),
    **{f"chain-{name}": partial(_chain, name) for name in SUBJECTS},
}


def bench(only: str | None = None) -> dict[str, Any]:
    """Run one benchmark, or all of them.

    Parameters
    ----------
    only : str, optional
        Name of one.

    Returns
    -------
    dict
        ``machine`` and ``results`` by name.

    Raises
    ------
    BkdError
        If there is no benchmark of that name.
    """
    if only is not None and only not in BENCHES:
        raise unknown("benchmark", only, BENCHES)
    names = list(BENCHES) if only is None else [only]
    return {"machine": machine(), "results": {name: BENCHES[name]() for name in names}}
