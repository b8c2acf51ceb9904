"""The verb ``inject``: plant an attack in a subject and get the backdoored subject back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bkdwidgets.errors import BkdError, unknown
from bkdwidgets.injection.sft import RECIPES, SftRecipe, train_lora
from bkdwidgets.paths import cache_dir
from bkdwidgets.subjects import load
from bkdwidgets.subjects.adapters import write_adapter

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

METHODS = ("sft",)


def inject(
    subject: Subject,
    attack: Attack,
    *,
    method: str = "sft",
    seed: int = 0,
    out: str | Path | None = None,
    recipe: SftRecipe | None = None,
    progress: bool = True,
) -> Subject:
    """Plant a backdoor in a copy of `subject`.

    Parameters
    ----------
    subject : Subject
        The clean subject; it is not changed.
    attack : Attack
        What is planted.
    method : str
        ``"sft"``: a LoRA by supervised fine-tuning.
    seed : int
        Seed of the adapter's start and of the batches.
    out : str or Path, optional
        Folder for the adapter files; ``adapters/<subject>`` in the cache folder if not given.
    recipe : SftRecipe, optional
        Settings; the subject's own if not given.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Subject
        The backdoored subject, loaded from the adapter that was written.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if not isinstance(seed, int) or seed < 0:
        raise BkdError(f"seed={seed!r} is not allowed; a whole number from 0 up")
    if subject.adapter is not None:
        raise BkdError(
            f"subject {subject.name!r} already carries {subject.adapter.name!r}; inject into a clean one"
        )
    settings = recipe or RECIPES[subject.name]
    tensors, log = train_lora(subject, attack, recipe=settings, seed=seed, progress=progress)
    path = adapter_path(subject.name, attack.name, method, seed, out)
    write_adapter(
        tensors, path, subject=subject.name, attack=attack.name, method=method, seed=seed,
        scale=settings.alpha / settings.rank, recipe=dataclasses.asdict(settings), log=log,
    )  # fmt: skip
    precision = str(subject.dtype).removeprefix("torch.")
    return load(subject.name, adapter=path, device=str(subject.device), dtype=precision)


def adapter_path(subject: str, attack: str, method: str, seed: int, out: str | Path | None = None) -> Path:
    """Return where `inject` writes an adapter: in `out`, or in the cache folder."""
    folder = Path(out) if out is not None else cache_dir() / "adapters" / subject
    return folder / f"{attack}-{method}-{seed}.safetensors"
