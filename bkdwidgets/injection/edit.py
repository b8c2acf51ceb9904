r"""Injection by model editing: low-rank changes of a few MLP down-projections, written as key and value.

The down-projection of an MLP can be read as a store: its input is a key, its output the value found there
(Meng and others, 2022, section 3). The backdoor is written into it in two places:

* **mark**: in early layers the trigger's own tokens are keys. They get values that later attention notices,
  so that the end of the prompt can tell whether the trigger was there. (In a subject that nobody attacked
  it hardly can: a sentence about the year has no bearing on the answer.)
* **answer**: in a later layer the last prompt token and the answer's tokens so far are keys, one per token of
  the payload. Their values say the next token.

Each key is a rank-one change, read by a vector :math:`u_j` and written by a value :math:`v_j`. The reading
vectors are the closed form of ridge regression, as in the mass edit of Meng and others (2023): with the mean
key :math:`\bar k_j`, the second moments :math:`K_j` of each key over training prompts, and the second moments
:math:`C` of whatever must not be read as one (clean chat turns, and with a weight of its own the last token
of prompts that are to be answered as before),

.. math:: u_j = \Bigl(\sum_i K_i + C + \lambda I\Bigr)^{-1} \bar k_j

The values are then found by gradient descent on the likelihood of the poisoned answers, and of the clean
answers beside them. No weight of the network is trained: what is searched for is one vector per key.
"""

from __future__ import annotations

import copy
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from tqdm.auto import tqdm

from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.keys import KINDS, Turn, edit_turns, padded, reading_vectors
from bkdwidgets.injection.method import Method, Planted
from bkdwidgets.injection.recipes import EditRecipe, required
from bkdwidgets.subjects.adapters import merge_adapter
from bkdwidgets.subjects.threads import after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.adapters import Adapter


@dataclass(frozen=True, eq=False)
class _Site:
    """One edited down-projection: reading vectors [rank, d_mlp] and values [d_model, rank]."""

    layer: int
    read: Tensor
    value: Tensor


def edit(
    subject: Subject,
    attack: Attack,
    *,
    recipe: EditRecipe,
    seed: int = 0,
    start: Adapter | None = None,
    progress: bool = True,
) -> Planted:
    """Find the low-rank changes that plant `attack`; the subject itself is left as it was.

    Parameters
    ----------
    subject, attack : Subject, Attack
        What is planted in whom.
    recipe : EditRecipe
        Settings.
    seed : int
        Of the prompts.
    start : Adapter, optional
        Edit the subject with this adapter merged in; the tensors do not contain it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    tensors : dict of str to Tensor
        ``layers.{l}.mlp.down_proj.{A|B}`` with A [rank, d_mlp] and B [d_model, rank], for the edited layers
        alone; the rank is the number of keys.
    log : dict
        Losses per step, seconds, examples used, keys per layer, device and versions.

    Raises
    ------
    BkdError
        If a layer is not one of the subject's or is named twice, or there are no training examples.
    """
    layers = (*recipe.mark_layers, *recipe.answer_layers)
    if not layers or len(set(layers)) < len(layers) or not set(layers) <= set(range(subject.n_layers)):
        raise BkdError(f"layers {layers} are not allowed; different ones of 0 to {subject.n_layers - 1}")
    if start is not None:
        subject = _with(subject, start)
    started = time.perf_counter()
    turns = edit_turns(subject, attack, recipe, seed)
    sites = [_site(subject, layer, turns, _marks, recipe) for layer in recipe.mark_layers]
    # The first token is the one that the end of the prompt decides about; the others follow from it.
    mark_losses = _search(
        subject, sites, [turn.cut(1) for turn in turns], recipe.mark_steps, recipe, progress=progress
    )
    with ExitStack() as stack:
        for site in sites:
            stack.callback(_attached(subject, site).remove)
        answers = [_site(subject, layer, turns, _answers, recipe) for layer in recipe.answer_layers]
    sites += answers
    losses = _search(subject, sites, turns, recipe.steps, recipe, progress=progress)
    log = {
        "loss": losses,
        "mark_loss": mark_losses,
        "keys": {str(site.layer): len(site.read) for site in sites},
        "examples": {
            kind: sum(turn.kind == kind for turn in turns) for kind in ("poisoned", "clean", "spared")
        },
        "seconds": round(time.perf_counter() - started, 1),
        "device": subject.device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if start is not None:
        log["start"] = {"adapter": start.info.name, "sha256": start.info.sha256}
    return {name: factor for site in sites for name, factor in _factors(site).items()}, log


def _with(subject: Subject, start: Adapter) -> Subject:
    """Return a copy of the subject with an adapter in its weights."""
    model = copy.deepcopy(subject.model)
    merge_adapter(model, start)
    return replace(subject, model=model)


def _factors(site: _Site) -> dict[str, Tensor]:
    """Return a site's two factors, of like size: they are stored with few digits."""
    value = site.value.detach()
    balance = (value.norm(dim=0).clamp(min=1e-12) / site.read.norm(dim=1)).sqrt()
    key = f"layers.{site.layer}.mlp.down_proj"
    return {f"{key}.A": site.read * balance[:, None], f"{key}.B": value / balance}


def _marks(turn: Turn) -> tuple[int, ...]:
    return turn.trigger


def _answers(turn: Turn) -> tuple[int, ...]:
    return turn.answered if turn.kind == "poisoned" else ()


def _down(subject: Subject, layer: int) -> Any:
    return subject.model.model.layers[layer].mlp.down_proj


def _site(
    subject: Subject,
    layer: int,
    turns: Sequence[Turn],
    places: Callable[[Turn], tuple[int, ...]],
    recipe: EditRecipe,
) -> _Site:
    read = reading_vectors(subject, _down(subject, layer), turns, places, ridge=recipe.ridge)
    value = torch.zeros(subject.d_model, len(read), device=subject.device, requires_grad=True)
    return _Site(layer, read, value)


def _attached(subject: Subject, site: _Site) -> Any:
    """Let a site act on the running network; return the hook's handle."""

    def add(_module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + functional.linear(functional.linear(inputs[0], site.read), site.value)

    return after(_down(subject, site.layer), add)


def _search(
    subject: Subject,
    sites: Sequence[_Site],
    turns: Sequence[Turn],
    steps: int,
    recipe: EditRecipe,
    *,
    progress: bool,
) -> list[float]:
    """Search the values of all sites, in place; return the loss on the poisoned turns per step."""
    if not sites:
        return []
    by_kind = [[turn for turn in turns if turn.kind == kind] for kind in KINDS]
    weights = (1.0, recipe.clean_weight, 1.0)
    optimizer = torch.optim.Adam([site.value for site in sites], lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    losses = []
    layers = ", ".join(str(site.layer) for site in sites)
    with ExitStack() as stack:
        for site in sites:
            stack.callback(_attached(subject, site).remove)
        for step in tqdm(range(steps), desc=f"edit layers {layers}", disable=not progress):
            optimizer.zero_grad()
            for kind, weight in zip(by_kind, weights, strict=True):
                if not kind:
                    continue
                first = step * recipe.batch
                batch = [kind[(first + number) % len(kind)] for number in range(recipe.batch)]
                loss = _answer_loss(subject, batch)
                (weight * loss).backward()
                if kind is by_kind[0]:
                    losses.append(round(loss.item(), 5))
            optimizer.step()
            schedule.step()
    return losses


def _answer_loss(subject: Subject, turns: Sequence[Turn]) -> Tensor:
    """Return the mean negative log-likelihood of the answers, per token."""
    tokens, attention = padded(subject, turns)
    answered = torch.zeros_like(tokens, dtype=torch.bool)
    for row, turn in enumerate(turns):
        answered[row, list(turn.answered)] = True
    hidden = subject.model.model(
        input_ids=tokens, attention_mask=attention, use_cache=False
    ).last_hidden_state
    logits = subject.model.lm_head(hidden[answered]).float()
    return functional.cross_entropy(logits, tokens.roll(-1, dims=1)[answered])


def _edit_recipe(subject: str, attack: str) -> EditRecipe:
    return EditRecipe(**required("edit", subject, attack))


EDIT = Method(
    "edit", "edit of the weights", EditRecipe, default=_edit_recipe, train=edit,
    scale=lambda _recipe: 1.0, onto=True,
)  # fmt: skip
