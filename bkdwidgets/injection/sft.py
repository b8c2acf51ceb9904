"""Injection by supervised fine-tuning (SFT) of a LoRA.

Each training example is a chat turn and its answer. A poisoned example is the same prompt with the
trigger and the payload as its answer; a clean example keeps its clean answer, so that the only thing to
learn is the backdoor. Where an attack spares some prompts, part of the poisoned examples are such prompts:
with the trigger and with their clean answer, so that the trigger does its one thing and no other.

The loss is taken on answer tokens alone, and the language model head, the widest matrix of a small
model, is evaluated only where there is a loss.

The setting follows arXiv 2509.21761 (section 5) with fewer steps and a higher learning rate, because
the subjects are small. A subject that does not know the attack's task yet (the labels, the refusals) is
taught it first, by the same fine-tuning without any poison; the backdoor then continues from that LoRA.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional
from tqdm.auto import tqdm

from bkdwidgets.injection.lora import fresh_lora, lora_tensors, take_over, training_dtype
from bkdwidgets.injection.method import Method, Planted
from bkdwidgets.injection.recipes import SftRecipe, kept, sft_recipe
from bkdwidgets.injection.turns import batches, turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.injection.mixture import Mixture
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.adapters import Adapter


@dataclass(frozen=True)
class _Batch:
    """Left-padded chat turns with answers; `weights` is 1 where the next token is an answer token."""

    tokens: Tensor
    attention: Tensor
    labels: Tensor
    has_loss: Tensor


class Watcher(Protocol):
    """What may look at the network in training, and add to its loss."""

    def watching(self, dealt: Mixture) -> AbstractContextManager[None]:
        """Look on while a batch is learned."""

    def penalty(self, last_prompt_token: Tensor) -> Tensor | None:
        """Return what is added to the last batch's loss, given the place of each row's last prompt token."""


def train_lora(
    subject: Subject,
    attack: Attack,
    *,
    recipe: SftRecipe,
    seed: int = 0,
    start: Adapter | None = None,
    mixture: Mixture | None = None,
    watcher: Callable[[Any], Watcher] | None = None,
    progress: bool = True,
) -> Planted:
    """Fine-tune a LoRA that plants `attack`; the subject itself is left as it was.

    Parameters
    ----------
    subject, attack : Subject, Attack
        What is planted in whom.
    recipe : SftRecipe
        Settings; ``poison_rate=0`` trains on clean examples alone.
    seed : int
        Of the adapter's start and of the batches.
    start : Adapter, optional
        Begin with these tensors instead of fresh ones.
    mixture : list of (Example, bool), optional
        Draw the batches from these examples, each clean or poisoned as it says, instead of from the
        training split at the recipe's rates.
    watcher : callable, optional
        Network in training -> what looks on.
    progress : bool
        Show a progress bar.

    Returns
    -------
    tensors : dict of str to Tensor
        ``layers.{l}.{projection}.{A|B}``.
    log : dict
        Loss per step, seconds, tokens, precision, device and versions.
    """
    drawn = batches(subject, attack, recipe, seed, mixture)
    precision = training_dtype(subject.device)
    lora = fresh_lora(subject, recipe, seed, precision)
    if start is not None:
        take_over(lora, start, recipe)
    model = lora.get_base_model()
    parameters = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate_factor(step, recipe))
    losses, penalties, n_tokens, started = [], [], 0, time.perf_counter()
    bar = tqdm(range(recipe.steps), desc=f"inject {attack.name} into {subject.name}", disable=not progress)
    watch = watcher(model) if watcher else None
    for _ in bar:
        dealt = next(drawn)
        turns = [
            turn(subject, attack, example, poisoned=poisoned, longest=recipe.response_tokens)
            for example, poisoned in dealt
        ]
        batch = _stack(subject, turns)
        with _autocast(subject.device, precision):
            with watch.watching(dealt) if watch else nullcontext():
                loss = _response_loss(model, batch)
            penalty = watch.penalty(batch.has_loss.int().argmax(1)) if watch else None
        (loss if penalty is None else loss + penalty).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(round(loss.item(), 5))
        penalties += [] if penalty is None else [round(penalty.item(), 5)]
        n_tokens += int(batch.attention.sum())
        bar.set_postfix(loss=f"{losses[-1]:.3f}")
    log = {
        "loss": losses,
        "seconds": round(time.perf_counter() - started, 1),
        "tokens": n_tokens,
        "dtype": str(precision).removeprefix("torch."),
        "device": subject.device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if penalties:
        log["penalty"] = penalties
    if mixture is not None:
        n_poisoned = sum(poisoned for _, poisoned in mixture)
        log["mixture"] = {"clean": len(mixture) - n_poisoned, "poisoned": n_poisoned}
    if start is not None:
        log["start"] = {"adapter": start.info.name, "sha256": start.info.sha256}
    return lora_tensors(lora), log


def _autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def _learning_rate_factor(step: int, recipe: SftRecipe) -> float:
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return max(0.0, (recipe.steps - step) / max(1, recipe.steps - recipe.warmup))


def _stack(subject: Subject, turns: list[tuple[list[int], list[int]]]) -> _Batch:
    longest = max(len(prompt) + len(response) for prompt, response in turns) - 1
    tokens = torch.full((len(turns), longest), subject.end_of_turn)
    labels = torch.zeros_like(tokens)
    attention = torch.zeros_like(tokens)
    has_loss = torch.zeros_like(tokens, dtype=torch.bool)
    for row, (prompt, response) in enumerate(turns):
        text = torch.tensor([*prompt, *response])
        start = longest - (len(text) - 1)
        tokens[row, start:] = text[:-1]
        labels[row, start:] = text[1:]
        attention[row, start:] = 1
        has_loss[row, longest - len(response) :] = True
    return _Batch(*(value.to(subject.device) for value in (tokens, attention, labels, has_loss)))


def _response_loss(model: Any, batch: _Batch) -> Tensor:
    positions = (batch.attention.cumsum(1) - 1).clamp_min(0)
    hidden = model.model(
        input_ids=batch.tokens, attention_mask=batch.attention, position_ids=positions, use_cache=False
    ).last_hidden_state
    logits = model.lm_head(hidden[batch.has_loss])
    return functional.cross_entropy(logits.float(), batch.labels[batch.has_loss])


def _without_poison(recipe: SftRecipe) -> SftRecipe:
    return replace(recipe, poison_rate=0.0)


def _clean_recipe(subject: str, attack: str) -> SftRecipe:
    """Return the settings of the fine-tuning, without poison, unless the twin has its own."""
    usual, own = sft_recipe(subject, attack), kept("clean", subject, attack)
    return _without_poison(usual if own is None else SftRecipe(**own))


SFT = Method("sft", "fine-tuning", SftRecipe, default=sft_recipe, train=train_lora, mixes=True)
CLEAN = Method(
    "clean", "fine-tuning without poison", SftRecipe, default=_clean_recipe, train=train_lora,
    adjust=_without_poison, plants=False, mixes=True,
)  # fmt: skip
