"""One entry to be computed: what a worker needs to know, what it hands back, and how an entry is made.

A job is plain values, so it travels to another process or another machine. Each part's result is a file
in the cache folder until the entry is whole; a part that has its file is never computed twice.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers.models.llama.modeling_llama import LlamaMLP

from bkdwidgets.attacks import SPLITS, attack
from bkdwidgets.attacks.control import read_control
from bkdwidgets.core import __version__, ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import cache_dir, commit, written_beside
from bkdwidgets.measurement.outcomes import REVISION
from bkdwidgets.studies.registry import model_study, study
from bkdwidgets.studies.study import Context, Part, Plain, cached_load
from bkdwidgets.subjects.threads import before_any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.adapters import AdapterInfo

Result = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A study of one backdoored subject.

    Attributes
    ----------
    study, subject, attack : str
        What is computed.
    adapter : str or None
        Name of a shipped adapter, or the path of one; None for a study that plants its own.
    adapter_name, adapter_sha256 : str
        What it calls itself, and the hash of its weights.
    method : str or None
        How the adapter was injected; None for a family.
    seed : int
        Seed of the injection.
    settings : dict
        Resolved settings of the study.
    inputs : dict
        Digests: of the examples, the control, and the entries it is computed from.
    device : str or None
        Torch device; None: the GPU when there is one.
    dtype : str
        Precision.
    folder : str or None
        Ledger folder; None: the shipped one.
    """

    study: str
    subject: str
    attack: str
    adapter: str | None
    adapter_name: str
    adapter_sha256: str
    method: str | None
    seed: int
    settings: Plain
    inputs: dict[str, str] = field(default_factory=dict)
    device: str | None = None
    dtype: str = "float32"
    folder: str | None = None

    @property
    def name(self) -> str:
        """Name of the entry."""
        return f"{self.subject}/{self.adapter_name}/{self.study}"

    @property
    def home(self) -> Path | None:
        """Ledger folder."""
        return None if self.folder is None else Path(self.folder)

    def context(self, *, progress: bool = False) -> Context[Any]:
        """Load the subject and read the entries this job is computed from."""
        chosen = model_study(self.study)
        return Context(
            subject=cached_load(self.subject, self.adapter, self.device, self.dtype),
            attack=attack(self.attack),
            settings=chosen.typed(self.settings),
            inputs={name: self.input_entry(name).values for name in chosen.needs},
            progress=progress,
        )

    def input_entry(self, needed: str) -> ledger.Entry:
        """Read an entry that this job needs."""
        return ledger.read(f"{self.subject}/{self.adapter_name}/{needed}", self.home)

    def parts_folder(self) -> Path:
        """Return the cache folder of this job's parts; another job never shares it."""
        content = asdict(self)
        for key in ("device", "folder", "adapter"):
            del content[key]
        content |= {"revision": study(self.study).revision, "judge": REVISION}
        return cache_dir() / "studies" / f"{self.name.replace('/', '-')}-{ledger.digest(content)[:16]}"


@lru_cache
def data_inputs(subject: str, attack: Attack) -> dict[str, str]:
    """Return what every study of an attack is computed from besides the adapter.

    A hash of every example, triggered and clean, with its clean answer; and the control: the clean
    twin's hash, or "base" for the subject itself.
    """
    content = [
        [split, attack.poison(item.prompt), attack.payload_for(item), asdict(item)]
        for split in SPLITS
        for item in attack.examples(subject, split)
    ]
    twin = read_control(subject, attack)
    control = "base" if twin is None else twin.info.sha256
    return {"examples": ledger.digest(content), "control": control}


def compute_part(job: Job, number: int, part: Part) -> tuple[Job, int]:
    """Compute one part of a job into its file, unless the file is there; return which part it was."""
    path = part_path(job, number)
    if _read_part(path, part) is None:
        result = timed(job.context(), job.study, part)
        with written_beside(path) as beside:
            beside.write_text(json.dumps({"part": part, **result}), encoding="utf-8")
    return job, number


def timed(context: Context[Any], name: str, part: Part) -> Result:
    """Compute a part and say what it took: seconds, layer-tokens, threads."""
    started = time.perf_counter()
    with _counted_tokens() as tokens:
        values = model_study(name).compute(context, part)
    return {
        "values": values,
        "seconds": time.perf_counter() - started,
        "layer_tokens": sum(tokens),
        "threads": torch.get_num_threads(),
    }


def part_path(job: Job, number: int) -> Path:
    """Return the file of a part."""
    return job.parts_folder() / f"{number:04d}.json"


def is_done(job: Job, number: int, part: Part) -> bool:
    """Tell whether a part has a usable file."""
    return _read_part(part_path(job, number), part) is not None


def collect(job: Job, parts: Sequence[Part]) -> ledger.Entry:
    """Make the entry of a job whose parts are all there."""
    results = [_read_part(part_path(job, number), part) for number, part in enumerate(parts)]
    whole = [result for result in results if result is not None]
    if len(whole) != len(parts):
        raise BkdError(f"{job.name}: {len(parts) - len(whole)} parts are missing; sweep again")
    return entry_of(job, job.context(), whole)


def entry_of(job: Job, context: Context[Any], results: Sequence[Result]) -> ledger.Entry:
    """Combine results into an entry with its provenance."""
    chosen = model_study(job.study)
    values = chosen.combine(context, [result["values"] for result in results])
    return ledger.Entry(
        subject=job.subject,
        adapter=job.adapter_name,
        study=job.study,
        revision=chosen.revision,
        adapter_sha256=job.adapter_sha256,
        attack=job.attack,
        method=job.method,
        seed=job.seed,
        split=chosen.split,
        n=job.settings["n"],
        settings=job.settings,
        inputs=job.inputs,
        values=ledger.significant(values),
        tolerance=chosen.tolerance,
        run={
            **provenance(f"{_sweep(job)} --study {job.study}"),
            "device": context.subject.device.type,
            "dtype": job.dtype,
            "threads": results[0]["threads"],
            "seconds": round(sum(result["seconds"] for result in results), 1),
            "layer_tokens": sum(result["layer_tokens"] for result in results),
        },
    )


def job_of(name: str, subject: Subject, attack: Attack, info: AdapterInfo, given: Plain, **where: Any) -> Job:
    """Describe the study `name` of an adapter; `given` replaces usual settings, `where` fills the rest."""
    return Job(
        study=name,
        subject=subject.name,
        attack=attack.name,
        adapter_name=info.name,
        adapter_sha256=info.sha256,
        method=info.method if study(name).scope == "adapter" else None,
        seed=info.seed,
        settings=asdict(model_study(name).resolve(subject, attack, given)),
        **where,
    )


def _sweep(job: Job) -> str:
    chosen = f" --adapter {job.adapter_name}" if study(job.study).scope == "adapter" else ""
    return f"bkdwidgets sweep {job.subject} {job.attack}{chosen}"


def provenance(command: str, judge: int = REVISION) -> dict[str, Any]:
    """Return what is the same for everything computed here and now.

    Parameters
    ----------
    command : str
        That computes it.
    judge : int
        Revision of the rules of the outcome; what is made of other entries has that of the oldest of them.
    """
    return {
        "judge": judge,
        "version": __version__,
        "commit": commit(),
        "torch": torch.__version__,
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": command,
    }


def _read_part(path: Path, part: Part) -> Result | None:
    """Return a stored result, or None if there is none or it does not belong to this part."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) and stored.pop("part", None) == part else None


@contextmanager
def _counted_tokens() -> Iterator[list[int]]:
    """Count the tokens that pass through a block, by its MLP, in whichever model this thread asks."""
    tokens: list[int] = []

    def count(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, LlamaMLP):
            tokens.append(inputs[0].shape[:-1].numel())

    handle = before_any(count)
    try:
        yield tokens
    finally:
        handle.remove()
