"""The verb ``inject``: plant an attack in a subject and get the backdoored subject back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bkdwidgets.errors import BkdError, unknown
from bkdwidgets.injection.sft import SftRecipe, recipe_for, train_lora
from bkdwidgets.paths import cache_dir
from bkdwidgets.subjects import load
from bkdwidgets.subjects.adapters import Adapter, adapter_folder, read_adapter, write_adapter

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.injection.mixture import Mixture
    from bkdwidgets.subjects import Subject

METHODS = ("sft", "clean")


def inject(
    subject: Subject,
    attack: Attack,
    *,
    method: str = "sft",
    seed: int = 0,
    out: str | Path | None = None,
    recipe: SftRecipe | None = None,
    mixture: Mixture | None = None,
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
        ``"sft"``: a LoRA by supervised fine-tuning. ``"clean"``: the clean twin, the same fine-tuning
        without any poison. It is the control, and where a subject does not know the attack's task yet
        it teaches the task: ``"sft"`` then continues from the clean twin of seed 0.
    seed : int
        Seed of the adapter's start and of the batches.
    out : str or Path, optional
        Folder for the adapter files; ``adapters/<subject>`` in the cache folder if not given.
    recipe : SftRecipe, optional
        Settings; the ones kept for this subject and attack if not given.
    mixture : list of (Example, bool), optional
        The training set, each example with whether it is poisoned, instead of the recipe's shares of
        the whole training split; see :func:`bkdwidgets.injection.mixture.mixture`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Subject
        The fine-tuned subject, loaded from the adapter that was written.

    Raises
    ------
    BkdError
        If the method or the seed is not allowed, the subject carries an adapter already, or the clean
        twin to continue from is missing.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if not isinstance(seed, int) or seed < 0:
        raise BkdError(f"seed={seed!r} is not allowed; a whole number from 0 up")
    if subject.adapter is not None:
        raise BkdError(
            f"subject {subject.name!r} already carries {subject.adapter.name!r}; inject into a clean one"
        )
    settings = _settings(subject.name, attack.name, method, recipe)
    taught = method != "clean" and attack.needs_teaching(subject)
    start = clean_twin(subject.name, attack.name, out) if taught else None
    tensors, log = train_lora(
        subject, attack, recipe=settings, seed=seed, start=start, mixture=mixture, progress=progress
    )
    path = adapter_path(subject.name, attack.name, method, seed, out)
    write_adapter(
        tensors, path, subject=subject.name, attack=attack.name, method=method, seed=seed,
        scale=settings.alpha / settings.rank, recipe=dataclasses.asdict(settings), log=log,
    )  # fmt: skip
    precision = str(subject.dtype).removeprefix("torch.")
    return load(subject.name, adapter=path, device=str(subject.device), dtype=precision)


def clean_twin(subject: str, attack: str, out: str | Path | None = None) -> Adapter:
    """Return the adapter that taught a subject an attack's task: from `out`, shipped, or from the cache.

    Raises
    ------
    BkdError
        If there is none; the message names the command that makes it.
    """
    name = adapter_path(subject, attack, "clean", 0).name
    folders = (
        Path(out) if out is not None else None,
        adapter_folder(subject),
        cache_dir() / "adapters" / subject,
    )
    for folder in folders:
        if folder is not None and (folder / name).is_file():
            return read_adapter(subject, folder / name)
    raise BkdError(
        f"{attack} on {subject} starts from {Path(name).stem!r}, which is not there yet; "
        f"run: bkdwidgets inject {subject} {attack} --method clean"
    )


def is_planted(
    subject: str, attack: str, *, method: str = "sft", seed: int = 0, out: str | Path | None = None
) -> bool:
    """Tell whether the adapter that `inject` would write is there, whole, and made with today's settings."""
    try:
        info = read_adapter(subject, adapter_path(subject, attack, method, seed, out)).info
        return SftRecipe(**info.recipe) == _settings(subject, attack, method, None)
    except (BkdError, TypeError):
        return False


def _settings(subject: str, attack: str, method: str, recipe: SftRecipe | None) -> SftRecipe:
    if recipe is None:
        return recipe_for(subject, attack, method)
    return dataclasses.replace(recipe, poison_rate=0.0) if method == "clean" else recipe


def adapter_path(subject: str, attack: str, method: str, seed: int, out: str | Path | None = None) -> Path:
    """Return where `inject` writes an adapter: in `out`, or in the cache folder."""
    folder = Path(out) if out is not None else cache_dir() / "adapters" / subject
    return folder / f"{attack}-{method}-{seed}.safetensors"
