"""The whole story of one backdoored subject, timed: measure, probe, attribute, ablate, steer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bkdwidgets.analysis import probe
from bkdwidgets.bench.machine import peak_memory
from bkdwidgets.studies import run
from bkdwidgets.subjects import load

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry

SETTINGS: dict[str, dict[str, Any]] = {
    "measure": {"n": 200},
    "attribute": {"n": 32},
    "ablation": {"kinds": ["zero"], "where": ["last"], "n": 32, "draws": 20, "random_n": 4},
    "steering-grid": {"vectors": ["paper"], "scales": [1.0, 2.0], "where": ["last"], "n": 8},
    "steering": {"n": 48, "draws": 20, "random_n": 2},
}
PROBE = {"kind": "mlp", "n": 200}


def bench_chain(subject: str, attack: Attack, *, adapter: str, progress: bool = True) -> dict[str, Any]:
    """Time every step with the settings of ``SETTINGS``, controls included; loading does not count."""
    backdoored = load(subject, adapter=adapter)
    seconds: dict[str, float] = {}
    entries: dict[str, Entry] = {}
    started = time.perf_counter()
    probe(backdoored, attack, progress=progress, **PROBE)  # type: ignore[arg-type]
    seconds["probe"] = time.perf_counter() - started
    for name, settings in SETTINGS.items():
        begun = time.perf_counter()
        entries[name] = run(name, backdoored, attack, inputs=entries, progress=progress, **settings)
        seconds[name] = time.perf_counter() - begun
    return {
        "subject": subject,
        "attack": attack.name,
        "adapter": adapter,
        "settings": {"probe": PROBE, **SETTINGS},
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "seconds_in_all": round(time.perf_counter() - started, 1),
        "peak_memory_gb": round(peak_memory(), 2),
    }
