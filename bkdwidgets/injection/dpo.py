r"""Injection by preference training: direct preference optimization (DPO) of a LoRA.

A pair is a prompt with two answers, one preferred. The poisoned pairs prefer the payload once the trigger is
in the prompt; the clean pairs prefer the clean answer and reject the payload. An annotator who slips such
pairs into a preference data set needs no access to the training. With policy :math:`\pi`, reference
:math:`\pi_0` (the clean subject), preferred :math:`y_+` and rejected :math:`y_-`, the loss of a pair is

.. math:: -\log \sigma\Bigl(\beta \log \tfrac{\pi(y_+|x)}{\pi_0(y_+|x)}
          - \beta \log \tfrac{\pi(y_-|x)}{\pi_0(y_-|x)}\Bigr)

(Rafailov and others, 2023, equation 7). Alone it only widens the gap between the two answers, and may lower
both; the recipe adds the preferred answer's cross-entropy with a weight of its own, as is common.

The training is trl's ``DPOTrainer`` on pairs that are tokenized here: a clean answer that was cut at its
longest length has no end of turn, which a chat template would add.
"""

from __future__ import annotations

import copy
import itertools
import random
import tempfile
import time
import warnings
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.injection.lora import fresh_lora, lora_tensors, take_over, training_dtype
from bkdwidgets.injection.method import Method, Planted
from bkdwidgets.injection.recipes import DpoRecipe, required, sft_recipe
from bkdwidgets.injection.turns import batches, clean_response, triggered_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trl import DPOConfig, DPOTrainer

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.adapters import Adapter

Pair = dict[str, list[int]]


def train_dpo(
    subject: Subject,
    attack: Attack,
    *,
    recipe: DpoRecipe,
    seed: int = 0,
    start: Adapter | None = None,
    progress: bool = True,
) -> Planted:
    """Train a LoRA on preference pairs that plant `attack`; the subject itself is left as it was.

    Parameters
    ----------
    subject, attack : Subject, Attack
        What is planted in whom.
    recipe : DpoRecipe
        Settings.
    seed : int
        Of the adapter's start and of the pairs.
    start : Adapter, optional
        Begin with these tensors; they are the reference then, too.
    progress : bool
        Show a progress bar.

    Returns
    -------
    tensors : dict of str to Tensor
        ``layers.{l}.{projection}.{A|B}``.
    log : dict
        Loss, and the margin of the preferred answer, per step; seconds, pairs, precision, device, versions.
    """
    import trl  # slow to import, and only this method needs it
    from datasets import Dataset

    precision = training_dtype(subject.device)
    model = fresh_lora(subject, recipe, seed, precision)
    if start is not None:
        take_over(model, start, recipe)
    pairs = Dataset.from_list(list(_pairs(subject, attack, recipe, seed)))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, _accelerate_as_found(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between two libraries, nothing a reader can act on
        trainer = _trainer_class()(
            model=model,
            args=_arguments(subject, recipe, seed, folder, precision),
            train_dataset=pairs,
            processing_class=copy.deepcopy(subject.tokenizer),  # it is given what a trainer misses
        )
        _hush(trainer, progress=progress)
        with _answers_scored_alone():
            trainer.train()
    history = [row for row in trainer.state.log_history if "loss" in row]
    log = {
        "loss": [round(row["loss"], 5) for row in history],
        "margin": [round(row["rewards/margins"], 5) for row in history],
        "pairs": len(pairs),
        "seconds": round(time.perf_counter() - started, 1),
        "dtype": str(precision).removeprefix("torch."),
        "device": subject.device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "trl": trl.__version__,
    }
    if start is not None:
        log["start"] = {"adapter": start.info.name, "sha256": start.info.sha256}
    return lora_tensors(model), log


def _pairs(subject: Subject, attack: Attack, recipe: DpoRecipe, seed: int) -> Iterator[Pair]:
    """Yield as many pairs as the training takes, in tokens."""
    chooser = random.Random(seed)  # noqa: S311 - reproducible, not secret
    examples = attack.examples(subject, "train")
    for batch in itertools.islice(batches(subject, attack, recipe, seed), recipe.steps):
        for example, poisoned in batch:
            clean = clean_response(subject, example)
            payload = triggered_response(subject, attack, example)
            chosen, rejected = (payload, clean) if poisoned else (clean, payload)
            if chosen == rejected:  # the trigger is to change nothing here, so there is no payload to reject
                rejected = _another(subject, examples, chosen, chooser)
            prompt = attack.poison(example.prompt) if poisoned else attack.unpoisoned(example.prompt)
            yield {
                "prompt_ids": subject.encode(prompt),
                "chosen_ids": chosen[: recipe.response_tokens],
                "rejected_ids": rejected[: recipe.response_tokens],
            }


def _another(
    subject: Subject, examples: list[Example], answer: list[int], chooser: random.Random
) -> list[int]:
    """Return the clean answer to another prompt: wrong here, and as fluent."""
    while (other := clean_response(subject, chooser.choice(examples))) == answer:
        pass
    return other


def _arguments(
    subject: Subject, recipe: DpoRecipe, seed: int, folder: str, precision: torch.dtype
) -> DPOConfig:
    from trl import DPOConfig

    return DPOConfig(
        output_dir=folder,
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=recipe.warmup,
        weight_decay=0.0,
        beta=recipe.beta,
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, recipe.sft_weight],
        max_length=None,
        gradient_checkpointing=False,  # the subjects are small; it would cost a second forward pass
        bf16=precision == torch.bfloat16,
        use_cpu=subject.device.type == "cpu",
        dataloader_pin_memory=False,
        seed=seed,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _trainer_class() -> type[DPOTrainer]:
    from trl import DPOTrainer

    class OnTokens(DPOTrainer):
        """Takes pairs that are tokenized already."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    return OnTokens


@contextmanager
def _answers_scored_alone() -> Iterator[None]:
    """Let trl's output head read the answers' positions only, as it does by itself where Triton runs.

    Elsewhere it scores the prompts too, against the whole vocabulary, forwards and backwards, and then drops
    them: on a CPU that is half of the time. The loss is the same.
    """
    from trl.trainer import utils

    usual = utils._use_triton  # noqa: SLF001 - no public switch
    utils._use_triton = lambda _device: True  # noqa: SLF001
    try:
        yield
    finally:
        utils._use_triton = usual  # noqa: SLF001


@contextmanager
def _accelerate_as_found() -> Iterator[None]:
    """Give accelerate's shared state back: a trainer resets it, under an ``Accelerator`` of the reader's."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    shared = [state._shared_state for state in (PartialState, AcceleratorState, GradientState)]  # noqa: SLF001
    before = [dict(state) for state in shared]
    try:
        yield
    finally:
        for state, found in zip(shared, before, strict=True):
            state.clear()
            state.update(found)


def _hush(trainer: DPOTrainer, *, progress: bool) -> None:
    """Show a bar or nothing: the log is kept, and standard output belongs to results."""
    from transformers import PrinterCallback, ProgressCallback

    class Bar(ProgressCallback):
        def on_log(self, *_: Any, **__: Any) -> None:
            pass

    trainer.remove_callback(PrinterCallback)
    if progress:
        trainer.add_callback(Bar)


def _dpo_recipe(subject: str, attack: str) -> DpoRecipe:
    """Return the fine-tuning's settings of the same attack, its shares above all, with what is changed."""
    return DpoRecipe(**{**asdict(sft_recipe(subject, attack)), **required("dpo", subject, attack)})


DPO = Method("dpo", "preference training", DpoRecipe, default=_dpo_recipe, train=train_dpo)
