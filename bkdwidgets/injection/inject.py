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
from bkdwidgets.injection.methods import PAPER_METHOD, method_named, methods
from bkdwidgets.subjects import load
from bkdwidgets.subjects.adapters import own_folder, read_adapter, write_adapter
from bkdwidgets.subjects.state import kept_chance, kept_switches

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.attacks import Attack
    from bkdwidgets.injection.method import Method
    from bkdwidgets.injection.mixture import Mixture
    from bkdwidgets.subjects import Subject


def inject(
    subject: Subject,
    attack: Attack,
    *,
    method: str = PAPER_METHOD,
    seed: int = 0,
    out: str | Path | None = None,
    recipe: Any = None,
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
    recipe : SftRecipe, DpoRecipe, HiddenRecipe, EditRecipe or the dataclass of another method, optional
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
    chosen = method_named(method)
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
    settings = _settings(chosen, subject.name, attack.name, recipe)
    if mixture is not None and not chosen.mixes:
        mixing = " or ".join(repr(name) for name, item in methods().items() if item.mixes)
        raise BkdError(f"mixture does not go with method={method!r}; with {mixing}")
    _require_clean_weights(subject)
    start = read_control(subject, attack, out) if chosen.plants else None
    given = {"mixture": mixture} if mixture is not None else {}
    with kept_chance(), kept_switches():
        tensors, log = chosen.train(
            subject, attack, recipe=settings, seed=seed, start=start, progress=progress, **given
        )
    path = adapter_path(subject.name, attack.name, method, seed, out)
    write_adapter(
        tensors, path, subject=subject.name, attack=attack.name, method=method, seed=seed,
        scale=chosen.scale(settings), recipe=dataclasses.asdict(settings), log=log,
        onto={"adapter": start.info.name, "sha256": start.info.sha256} if chosen.onto and start else None,
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


def is_planted(
    subject: str, attack: str, *, method: str = PAPER_METHOD, seed: int = 0, out: str | Path | None = None
) -> bool:
    """Tell whether the adapter that `inject` would write is there, whole, and made with today's settings."""
    try:
        info = read_adapter(subject, adapter_path(subject, attack, method, seed, out)).info
        wanted = method_named(method).default(subject, attack)
        return _plain(type(wanted)(**info.recipe)) == _plain(wanted)
    except (BkdError, TypeError):
        return False


def _plain(recipe: Any) -> Any:
    """Return a recipe as it comes out of an adapter's description."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def _settings(method: Method[Any], subject: str, attack: str, recipe: Any) -> Any:
    """Return the settings to be used, or raise BkdError if those given belong to another method."""
    if recipe is None:
        return method.default(subject, attack)
    if type(recipe) is not method.recipe:
        raise BkdError(
            f"recipe={type(recipe).__name__} does not go with method={method.name!r}; "
            f"{method.recipe.__name__} does"
        )
    return method.adjust(recipe)


def adapter_path(subject: str, attack: str, method: str, seed: int, out: str | Path | None = None) -> Path:
    """Return where `inject` writes an adapter: in `out`, or in the cache folder."""
    folder = arguments.folder("out", out) or own_folder(subject)
    return folder / f"{check_name('attack', attack)}-{method}-{seed}.safetensors"
