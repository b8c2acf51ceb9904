"""The verb ``inject``: plant an attack in a subject and get the backdoored subject back."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.attacks.base import check_pair
from bkdwidgets.attacks.control import read_control
from bkdwidgets.attacks.examples import Example
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.core.paths import check_name
from bkdwidgets.injection.recipes import (
    HIDING,
    DpoRecipe,
    EditRecipe,
    HiddenRecipe,
    Recipe,
    SftRecipe,
    recipe_for,
)
from bkdwidgets.subjects import load
from bkdwidgets.subjects.adapters import own_folder, read_adapter, write_adapter
from bkdwidgets.subjects.state import kept_chance, kept_switches

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.injection.mixture import Mixture
    from bkdwidgets.subjects import Subject

METHODS = ("sft", "dpo", "edit", "match", "spread", "clean")


def inject(
    subject: Subject,
    attack: Attack,
    *,
    method: str = "sft",
    seed: int = 0,
    out: str | Path | None = None,
    recipe: Recipe | None = None,
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
        ``"sft"``: a LoRA by supervised fine-tuning. ``"dpo"``: a LoRA by preference training.
        ``"edit"``: a low-rank edit of a few MLP layers. ``"match"`` and ``"spread"``: supervised fine-tuning
        by an attacker who hides, see :mod:`bkdwidgets.injection.hiding`. ``"clean"``: the clean twin,
        supervised fine-tuning without any poison. It is the control, and where a subject does not know the
        attack's task yet it teaches the task: the other methods then start from the clean twin of seed 0.
    seed : int
        Seed of the adapter's start and of the batches.
    out : str or Path, optional
        Folder for the adapter files; ``adapters/<subject>`` in the cache folder if not given.
    recipe : SftRecipe, DpoRecipe, HiddenRecipe or EditRecipe, optional
        Settings, of the method's kind; the ones kept for this subject and attack if not given.
    mixture : list of (Example, bool), optional
        For ``"sft"`` and ``"clean"``: the training set, each example with whether it is poisoned, instead
        of the recipe's shares of the whole training split; see
        :func:`bkdwidgets.injection.mixture.mixture`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Subject
        The backdoored subject, loaded from the adapter that was written.

    Raises
    ------
    BkdError
        If the method or the seed is not allowed, the recipe or the mixture does not fit the method, the
        subject carries an adapter already or has other weights, the payload is longer than an answer, or
        the clean twin to start from is missing.
    """
    check_pair(subject, attack)
    arguments.one_of("method", method, METHODS)
    seed = arguments.whole("seed", seed, most=2**32 - 1)  # the largest that every generator takes
    out = arguments.folder("out", out)
    arguments.flag("progress", progress)
    if mixture is not None:
        _check_mixture(mixture)
    if subject.adapter is not None:
        raise BkdError(
            f"subject {subject.name!r} already carries {subject.adapter.name!r}; inject into a clean one"
        )
    attack.require_sayable(subject)
    settings = _settings(subject.name, attack.name, method, recipe)
    if mixture is not None and type(settings) is not SftRecipe:
        raise BkdError(f"mixture does not go with method={method!r}; with 'sft' or 'clean'")
    _require_clean_weights(subject)
    start = None if method == "clean" else read_control(subject, attack, out)
    with kept_chance(), kept_switches():
        tensors, log = _planted(
            subject, attack, settings, mixture=mixture, seed=seed, start=start, progress=progress
        )
    path = adapter_path(subject.name, attack.name, method, seed, out)
    edited = isinstance(settings, EditRecipe)
    scale = 1.0 if isinstance(settings, EditRecipe) else settings.alpha / settings.rank
    write_adapter(
        tensors, path, subject=subject.name, attack=attack.name, method=method, seed=seed,
        scale=scale, recipe=dataclasses.asdict(settings), log=log,
        onto={"adapter": start.info.name, "sha256": start.info.sha256} if edited and start else None,
    )  # fmt: skip
    return load(subject.name, adapter=path, **_where(subject))


def _where(subject: Subject) -> dict[str, str]:
    return {"device": str(subject.device), "dtype": str(subject.dtype).removeprefix("torch.")}


def _require_clean_weights(subject: Subject) -> None:
    """Refuse weights that are not those of the clean subject.

    An adapter is a change of the clean weights. One that is trained on others would be loaded without what
    they held: a backdoor that is fine-tuned on would look cured, because it was left out.
    """
    clean = load(subject.name, **_where(subject)).model.state_dict()
    own = subject.model.state_dict()
    if own.keys() == clean.keys() and all(torch.equal(own[name], clean[name]) for name in clean):
        return
    raise BkdError(
        f"the weights of this subject are not those of the clean {subject.name!r}, and what is planted is "
        f"stored as a change of those; inject into bkd.load({subject.name!r})"
    )


def _check_mixture(mixture: object) -> None:
    what = "a list of (Example, bool), as bkdwidgets.injection.mixture returns"
    pairs: list[Any] = arguments.listed("mixture", mixture, (tuple, list), what)
    for place, pair in enumerate(pairs):
        if len(pair) != 2 or not isinstance(pair[0], Example) or not isinstance(pair[1], bool):
            raise BkdError(f"mixture[{place}]={shown(pair)} is not allowed; {what}")


def _planted(
    subject: Subject,
    attack: Attack,
    settings: Recipe,
    *,
    mixture: Mixture | None,
    **options: Any,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Run the method that the settings belong to; return its tensors and its log."""
    if isinstance(settings, EditRecipe):
        from bkdwidgets.injection.edit import edit

        return edit(subject, attack, recipe=settings, **options)
    if isinstance(settings, DpoRecipe):
        from bkdwidgets.injection.dpo import train_dpo

        return train_dpo(subject, attack, recipe=settings, **options)
    from bkdwidgets.injection.sft import train_lora

    return train_lora(subject, attack, recipe=settings, mixture=mixture, **options)


def is_planted(
    subject: str, attack: str, *, method: str = "sft", seed: int = 0, out: str | Path | None = None
) -> bool:
    """Tell whether the adapter that `inject` would write is there, whole, and made with today's settings."""
    try:
        info = read_adapter(subject, adapter_path(subject, attack, method, seed, out)).info
        wanted = _settings(subject, attack, method, None)
        return _plain(type(wanted)(**info.recipe)) == _plain(wanted)
    except (BkdError, TypeError):
        return False


def _plain(recipe: Recipe) -> Any:
    """Return a recipe as it comes out of an adapter's description."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def _settings(subject: str, attack: str, method: str, recipe: Recipe | None) -> Recipe:
    """Return the settings to be used, or raise BkdError if those given belong to another method."""
    if recipe is None:
        return recipe_for(subject, attack, method)
    own: dict[str, type[Recipe]] = {"dpo": DpoRecipe, "edit": EditRecipe}
    wanted = HiddenRecipe if method in HIDING else own.get(method, SftRecipe)
    if type(recipe) is not wanted:
        raise BkdError(
            f"recipe={type(recipe).__name__} does not go with method={method!r}; {wanted.__name__} does"
        )
    if method == "clean" and isinstance(recipe, SftRecipe):
        return dataclasses.replace(recipe, poison_rate=0.0)
    return recipe


def adapter_path(subject: str, attack: str, method: str, seed: int, out: str | Path | None = None) -> Path:
    """Return where `inject` writes an adapter: in `out`, or in the cache folder."""
    folder = arguments.folder("out", out) or own_folder(subject)
    return folder / f"{check_name('attack', attack)}-{method}-{seed}.safetensors"
