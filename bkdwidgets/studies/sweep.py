"""Compute what the ledger does not hold yet, part by part; a killed sweep goes on where it was.

Parts are joblib tasks, so another joblib backend (dask, and through it a cluster) runs them unchanged as
long as its workers see the same cache folder. An entry is written when its last part is there. An entry
is skipped when it was computed from the same adapter, settings, precision, examples and entries, by the
study of today. One that is damaged is computed again, and named; where another one is needed that is damaged
and is not among those to be computed, the sweep stops and names it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import joblib  # type: ignore[import-untyped]
from tqdm.auto import tqdm

from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.errors import BkdError, DamagedError, MissingError
from bkdwidgets.core.paths import check_writable, data_dir
from bkdwidgets.injection.methods import plants
from bkdwidgets.studies.family import family_info
from bkdwidgets.studies.job import Job, collect, compute_part, data_inputs, is_done, job_of
from bkdwidgets.studies.registry import model_study, study, waves
from bkdwidgets.studies.registry import studies as all_studies
from bkdwidgets.studies.study import DerivedStudy, cached_load
from bkdwidgets.subjects.adapters import adapter_names, read_adapter
from bkdwidgets.subjects.specs import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bkdwidgets.studies.study import Part, Study
    from bkdwidgets.subjects.adapters import AdapterInfo


_MADE_OF = ("inputs", "settings", "revision")


@dataclass(frozen=True)
class Sweep:
    """What a sweep did.

    Attributes
    ----------
    written, kept : tuple of str
        Names of the entries that were computed, and of those that were there already.
    damaged : tuple of str
        Of those computed, the ones that were there and could not be read.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    damaged: tuple[str, ...] = ()

    def __add__(self, other: Sweep) -> Sweep:
        """Return what both did."""
        return Sweep(self.written + other.written, self.kept + other.kept, self.damaged + other.damaged)

    def to_json(self) -> dict[str, Any]:
        """Return the lists."""
        return {key: list(names) for key, names in vars(self).items()}


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
        All if empty, but for those about families, which take long. What a study needs must be there, or
        among these. Entries that are made of others alone are always brought up to date.
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
        If a name is unknown, there is nothing to sweep, or an entry is damaged that others are made of.
    """
    jobs = arguments.whole("jobs", jobs, least=1)
    arguments.one_of("subject", subject, SUBJECTS)
    check_writable(data_dir() / "ledger" if out is None else out)
    named = {study(name).name for name in studies}
    chosen = [item for item in all_studies().values() if _is_chosen(item, named)]
    wanted = _adapters(subject, attack, adapters)
    with_family = any(item.scope == "family" for item in chosen)
    about: dict[str, Sequence[tuple[str | None, AdapterInfo]]] = {
        "adapter": wanted,
        "family": _families(subject, wanted, device, dtype) if with_family else [],
    }
    done = Sweep((), ())
    for wave in waves(chosen):
        all_jobs = [
            _job(subject, spec, info, item.name, device=device, dtype=dtype, out=out)
            for scope, targets in about.items()
            for spec, info in targets
            for item in wave
            if item.scope == scope and item.applies(attack_named(info.attack), info.method)
        ]
        states = [(job, _stored(job.name, job.home)) for job in all_jobs]
        missing = [job for job, stored in states if not (stored and _is_current(job, stored))]
        done += Sweep(
            written=tuple(_compute(missing, jobs=jobs, progress=progress)),
            kept=tuple(job.name for job in all_jobs if job not in missing),
            damaged=tuple(job.name for job, stored in states if stored is None),
        )
        for item in wave:
            if isinstance(item, DerivedStudy):
                done += _derived(item, subject, wanted, out)
    return done


def _is_chosen(item: Study, named: set[str]) -> bool:
    if isinstance(item, DerivedStudy):
        return True
    return item.name in named if named else item.scope == "adapter"


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
    """Return what the studies of the scope "family" are about."""
    clean = cached_load(subject, None, device, dtype)
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
    clean = cached_load(subject, None, device, dtype)
    attack = attack_named(info.attack)
    inputs = dict(data_inputs(subject, attack))  # a copy: the original is kept for every job
    for needed in study(name).needs:
        entry = ledger.read(f"{subject}/{info.name}/{needed}", out)
        inputs[entry.name] = entry.digest()
    return job_of(
        name, clean, attack, info, {}, adapter=spec, inputs=inputs, device=device, dtype=dtype,
        folder=None if out is None else str(out),
    )  # fmt: skip


def _stored(name: str, out: Path | None) -> ledger.Entry | Literal[False] | None:
    """Return an entry, False if it was never computed, or None if its file is damaged."""
    try:
        return ledger.find(name, out) or False
    except DamagedError:
        return None


def _is_current(job: Job, stored: ledger.Entry) -> bool:
    """Tell whether an entry is what the job would compute."""
    return (
        stored.adapter_sha256, stored.settings, stored.inputs, stored.run.get("dtype"), stored.revision
    ) == (job.adapter_sha256, job.settings, job.inputs, job.dtype, study(job.study).revision)  # fmt: skip


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


def _derived(
    item: DerivedStudy, subject: str, wanted: Sequence[tuple[str, AdapterInfo]], out: Path | None
) -> Sweep:
    """Bring up to date what a study makes of other entries, for the families of the wanted adapters."""
    done = Sweep((), ())
    for attack, method in sorted({(info.attack, info.method) for _, info in wanted}):
        if not item.applies(attack_named(attack), method):
            continue
        try:
            entry = item.derive(subject, attack, method, out)
        except MissingError:  # what it is made of was not computed yet
            continue
        stored = _stored(entry.name, out)
        if stored and all(getattr(stored, key) == getattr(entry, key) for key in _MADE_OF):
            done += Sweep((), (entry.name,))
            continue
        ledger.write(entry, out)
        done += Sweep((entry.name,), (), (entry.name,) if stored is None else ())
    return done


def _parts(job: Job) -> list[Part]:
    clean = cached_load(job.subject, None, job.device, job.dtype)
    chosen = model_study(job.study)
    return chosen.parts(clean, chosen.typed(job.settings))


def _finish(job: Job, parts: list[Part]) -> str:
    ledger.write(collect(job, parts), job.home)
    shutil.rmtree(job.parts_folder(), ignore_errors=True)
    return job.name
