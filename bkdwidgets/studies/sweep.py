"""Compute what the ledger does not hold yet, part by part; a killed sweep goes on where it was.

Parts are joblib tasks, so another joblib backend (dask, and through it a cluster) runs them unchanged as
long as its workers see the same cache folder. An entry is written when its last part is there. An entry
is skipped when it was computed from the same adapter, settings, precision, examples and entries.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import joblib  # type: ignore[import-untyped]
from tqdm.auto import tqdm

from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.methods import plants
from bkdwidgets.studies.derived import DERIVED
from bkdwidgets.studies.job import Job, collect, compute_part, data_inputs, is_done, job_of
from bkdwidgets.studies.planting import family_info
from bkdwidgets.studies.registry import studies as all_studies
from bkdwidgets.studies.registry import study, waves
from bkdwidgets.studies.seeds import family_of
from bkdwidgets.studies.study import opened
from bkdwidgets.subjects.adapters import adapter_names, read_adapter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bkdwidgets.studies.study import Part
    from bkdwidgets.subjects.adapters import AdapterInfo


@dataclass(frozen=True)
class Sweep:
    """What a sweep did.

    Attributes
    ----------
    written, kept : tuple of str
        Names of the entries that were computed, and of those that were there already.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return both lists."""
        return {"written": list(self.written), "kept": list(self.kept)}


def sweep(
    subject: str,
    attack: str | None = None,
    *,
    adapters: Sequence[str] = (),
    studies: Sequence[str] = (),
    jobs: int = 1,
    device: str | None = None,
    dtype: str = "float32",
    out: Path | None = None,
    progress: bool = True,
) -> Sweep:
    """Compute the missing ledger entries of a subject.

    Parameters
    ----------
    subject : str
        Name of the subject.
    attack : str, optional
        Only adapters of this attack.
    adapters : sequence of str
        Names or paths; all that ship for the subject if empty.
    studies : sequence of str
        All if empty, but for those that plant their own backdoors, which take long. What a study needs
        must be there, or among these.
    jobs : int
        Parts computed at a time, each in a process of its own.
    device, dtype : str
        As for ``bkd.load``.
    out : Path, optional
        Folder instead of ``data/ledger``.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If a name is unknown, or there is nothing to sweep.
    """
    jobs = arguments.whole("jobs", jobs, least=1)
    chosen = [study(name) for name in studies] or [item for item in all_studies().values() if not item.plants]
    wanted = _adapters(subject, attack, adapters)
    families = _families(subject, wanted, device, dtype) if any(item.plants for item in chosen) else []
    written: list[str] = []
    kept: list[str] = []
    for wave in waves(chosen):
        all_jobs = [
            _job(subject, spec, info, item.name, device=device, dtype=dtype, out=out)
            for plants, about in ((False, wanted), (True, families))
            for spec, info in about
            for item in wave
            if item.plants == plants and item.applies(attack_named(info.attack))
        ]
        missing = [job for job in all_jobs if not _is_there(job)]
        kept += [job.name for job in all_jobs if job not in missing]
        written += _compute(missing, jobs=jobs, progress=progress)
    for family in sorted({family for _, info in wanted if (family := family_of(info.name))}):
        written += _derive(subject, family, out)
    return Sweep(written=tuple(written), kept=tuple(kept))


def _adapters(subject: str, attack: str | None, named: Sequence[str]) -> list[tuple[str, AdapterInfo]]:
    """Return the adapters to be swept: how to load them, and what they are."""
    found = [(spec, read_adapter(subject, spec).info) for spec in named or adapter_names(subject)]
    found = [(spec, info) for spec, info in found if plants(info.method)]  # clean twins are controls
    if attack is not None:
        found = [(spec, info) for spec, info in found if info.attack == attack_named(attack).name]
    if not found:
        planted = f" of attack {attack!r}" if attack else ""
        raise BkdError(f"no adapter{planted} for subject {subject!r}; known: {adapter_names(subject)}")
    return found


def _families(
    subject: str, wanted: Sequence[tuple[str, AdapterInfo]], device: str | None, dtype: str
) -> list[tuple[None, AdapterInfo]]:
    """Return the families of the wanted adapters, for the studies that plant their own."""
    clean = opened(subject, None, device, dtype)
    attacks = dict.fromkeys(info.attack for _, info in wanted)
    return [(None, family_info(clean, attack_named(name))) for name in attacks]


def _job(
    subject: str,
    spec: str | None,
    info: AdapterInfo,
    name: str,
    *,
    device: str | None,
    dtype: str,
    out: Path | None,
) -> Job:
    clean = opened(subject, None, device, dtype)
    attack = attack_named(info.attack)
    inputs = data_inputs(subject, attack)
    for needed in study(name).needs:
        entry = ledger.read(f"{subject}/{info.name}/{needed}", out)
        inputs[entry.name] = entry.digest()
    return job_of(
        name, clean, attack, info, {}, adapter=spec, inputs=inputs, device=device, dtype=dtype,
        folder=None if out is None else str(out),
    )  # fmt: skip


def _is_there(job: Job) -> bool:
    entry = ledger.find(job.name, job.home)
    return entry is not None and (
        entry.adapter_sha256, entry.settings, entry.inputs, entry.run.get("dtype")
    ) == (job.adapter_sha256, job.settings, job.inputs, job.dtype)  # fmt: skip


def _compute(todo: Sequence[Job], *, jobs: int, progress: bool) -> list[str]:
    """Compute the missing parts of some jobs, write each entry as soon as it is whole, return the names."""
    parts = {job.name: _parts(job) for job in todo}
    tasks = [
        (job, number, part)
        for job in todo
        for number, part in enumerate(parts[job.name])
        if not is_done(job, number, part)
    ]
    left = Counter(job.name for job, _, _ in tasks)
    written = [_finish(job, parts[job.name]) for job in todo if not left[job.name]]
    done = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(
        joblib.delayed(compute_part)(*task) for task in tasks
    )
    for job, _ in tqdm(done, total=len(tasks), desc="sweep", unit="part", disable=not progress or not tasks):
        left[job.name] -= 1
        if not left[job.name]:
            written.append(_finish(job, parts[job.name]))
    return written


def _derive(subject: str, family: str, out: Path | None) -> list[str]:
    """Write a family's entries that are made of others, where something changed; return their names."""
    written = []
    for make in DERIVED.values():
        try:
            entry = make(subject, family, out)
        except BkdError:  # what it is made of is not there
            continue
        stored = ledger.find(entry.name, out)
        if stored is None or (stored.inputs, stored.settings) != (entry.inputs, entry.settings):
            ledger.write(entry, out)
            written.append(entry.name)
    return written


def _parts(job: Job) -> list[Part]:
    clean = opened(job.subject, None, job.device, job.dtype)
    return study(job.study).parts(clean, job.settings)


def _finish(job: Job, parts: list[Part]) -> str:
    ledger.write(collect(job, parts), job.home)
    shutil.rmtree(job.parts_folder(), ignore_errors=True)
    return job.name
