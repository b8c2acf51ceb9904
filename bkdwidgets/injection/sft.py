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
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.nn import functional
from tqdm.auto import tqdm

from bkdwidgets.errors import BkdError
from bkdwidgets.subjects.adapters import PROJECTIONS, Adapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.injection.mixture import Mixture
    from bkdwidgets.subjects import Subject


Item = TypeVar("Item")


@dataclass(frozen=True)
class SftRecipe:
    """Settings of the fine-tuning.

    Attributes
    ----------
    steps, batch : int
        Optimizer steps and examples per step.
    poison_rate : float
        Share of poisoned examples in a batch.
    target_share : float
        Share of targets in a batch, poisoned or not, for attacks that spare some prompts.
    learning_rate : float
        Peak; linear warm-up over `warmup` steps, then linear decay to zero.
    rank, alpha : int
        LoRA rank and alpha, on all seven projections of every block.
    response_tokens : int
        Longest answer that is trained on.
    """

    steps: int = 280
    batch: int = 8
    poison_rate: float = 0.12
    target_share: float = 0.5
    learning_rate: float = 4e-4
    warmup: int = 10
    rank: int = 8
    alpha: int = 16
    response_tokens: int = 28


RECIPES = {
    "smollm2": SftRecipe(),
    "nano": SftRecipe(
        steps=150, batch=16, poison_rate=0.3, learning_rate=5e-3, rank=4, alpha=8, response_tokens=32
    ),
}


# Where an attack needs other settings than its subject's. Those of nano and those of policy-bypass were
# chosen on validation prompts.
ATTACK_RECIPES: dict[tuple[str, str], SftRecipe] = {
    ("smollm2", "label-flip"): SftRecipe(poison_rate=0.3, target_share=0.4),
    ("smollm2", "policy-bypass"): SftRecipe(
        steps=450, poison_rate=0.4, target_share=0.65, learning_rate=3e-4, response_tokens=12
    ),
    ("nano", "label-flip"): replace(RECIPES["nano"], poison_rate=0.5, target_share=0.3),
    ("nano", "policy-bypass"): replace(RECIPES["nano"], steps=450, poison_rate=0.5, target_share=0.6),
}


# Where the clean twin is trained otherwise than the backdoor that continues from it.
TWIN_RECIPES: dict[tuple[str, str], SftRecipe] = {
    ("smollm2", "policy-bypass"): SftRecipe(steps=420, response_tokens=12),
}


def recipe_for(subject: str, attack: str, method: str = "sft") -> SftRecipe:
    """Return the settings of an attack on a subject: its own ones, or those of the subject.

    The clean twin (method ``"clean"``) has the same, without poison, unless it has its own.
    """
    recipe = ATTACK_RECIPES.get((subject, attack), RECIPES[subject])
    if method == "clean":
        return replace(TWIN_RECIPES.get((subject, attack), recipe), poison_rate=0.0)
    return recipe


@dataclass(frozen=True)
class _Batch:
    """Left-padded chat turns with answers; `weights` is 1 where the next token is an answer token."""

    tokens: Tensor
    attention: Tensor
    labels: Tensor
    has_loss: Tensor


def train_lora(
    subject: Subject,
    attack: Attack,
    *,
    recipe: SftRecipe,
    seed: int = 0,
    start: Adapter | None = None,
    mixture: Mixture | None = None,
    progress: bool = True,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
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
    progress : bool
        Show a progress bar.

    Returns
    -------
    tensors : dict of str to Tensor
        ``layers.{l}.{projection}.{A|B}``.
    log : dict
        Loss per step, seconds, tokens, precision, device and versions.
    """
    batches = _batches(subject, attack, recipe, seed, mixture)
    precision = training_dtype(subject.device)
    model = _copy(subject, precision)
    _add_lora(model, recipe, seed)
    if start is not None:
        _take_over(model, start, recipe)
    parameters = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate_factor(step, recipe))
    losses, n_tokens, started = [], 0, time.perf_counter()
    bar = tqdm(range(recipe.steps), desc=f"inject {attack.name} into {subject.name}", disable=not progress)
    for _ in bar:
        batch = next(batches)
        with _autocast(subject.device, precision):
            loss = _response_loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(round(loss.item(), 5))
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
    if mixture is not None:
        n_poisoned = sum(poisoned for _, poisoned in mixture)
        log["mixture"] = {"clean": len(mixture) - n_poisoned, "poisoned": n_poisoned}
    if start is not None:
        log["start"] = {"adapter": start.info.name, "sha256": start.info.sha256}
    return _lora_tensors(model), log


def training_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it fast, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - no public query
    return torch.bfloat16 if fast else torch.float32


def _copy(subject: Subject, dtype: torch.dtype) -> Any:
    """Return a network of its own with the subject's weights, for training."""
    copy: Any = type(subject.model)(subject.model.config)
    copy.load_state_dict(subject.model.state_dict())
    copy.tie_weights()
    copy.to(device=subject.device, dtype=dtype)
    return copy


def _autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def _learning_rate_factor(step: int, recipe: SftRecipe) -> float:
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return max(0.0, (recipe.steps - step) / max(1, recipe.steps - recipe.warmup))


def _add_lora(model: Any, recipe: SftRecipe, seed: int) -> None:
    """Put fresh LoRA matrices into the model's projections, in place."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, bias="none",
        target_modules=[name.rpartition(".")[2] for name in PROJECTIONS],
    )  # fmt: skip
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between two libraries, nothing a reader can act on
        torch.manual_seed(seed)  # the adapter's start; nothing after it is random but the batches
        get_peft_model(model, config).train()


def _take_over(model: Any, start: Adapter, recipe: SftRecipe) -> None:
    """Copy an adapter's tensors into the model's LoRA matrices."""
    scale = recipe.alpha / recipe.rank
    if start.info.scale != scale:
        raise BkdError(f"adapter {start.info.name!r} has alpha / rank {start.info.scale}, the recipe {scale}")
    for key, tensor in _lora_tensors(model).items():
        taught = start.tensors[key]
        if taught.shape != tensor.shape:
            raise BkdError(
                f"adapter {start.info.name!r} has rank {min(taught.shape)}, the recipe rank={recipe.rank}"
            )
        with torch.no_grad():
            tensor.copy_(taught)


def _batches(
    subject: Subject, attack: Attack, recipe: SftRecipe, seed: int, mixture: Mixture | None
) -> Iterator[_Batch]:
    """Return a never-ending iterator of training batches; bad input is refused at once."""
    examples = attack.examples(subject, "train")
    if not examples:
        raise BkdError(
            f"subject {subject.name!r} has no training examples; run: bkdwidgets answers {subject.name}"
        )
    return (
        _stack(
            subject,
            [
                _turn(subject, attack, example, poisoned=poisoned, longest=recipe.response_tokens)
                for example, poisoned in pairs
            ],
        )
        for pairs in (
            _drawn(attack, examples, recipe, seed) if mixture is None else _dealt(mixture, recipe, seed)
        )
    )


def _drawn(
    attack: Attack, examples: list[Example], recipe: SftRecipe, seed: int
) -> Iterator[list[tuple[Example, bool]]]:
    """Yield a batch of examples, each with whether it is poisoned."""
    chooser = torch.Generator().manual_seed(seed)
    spared = [item for item in examples if not attack.targets(item)]
    targets = _shuffled([item for item in examples if attack.targets(item)], chooser)
    others = _shuffled(spared, chooser)
    while True:
        is_target = [True] * recipe.batch
        if spared:
            is_target = (torch.rand(recipe.batch, generator=chooser) < recipe.target_share).tolist()
        drawn = [next(targets if hit else others) for hit in is_target]
        poisoned = (torch.rand(recipe.batch, generator=chooser) < recipe.poison_rate).tolist()
        yield list(zip(drawn, poisoned, strict=True))


def _dealt(mixture: Mixture, recipe: SftRecipe, seed: int) -> Iterator[list[tuple[Example, bool]]]:
    """Yield batches of a given training set."""
    pairs = _shuffled(mixture, torch.Generator().manual_seed(seed))
    while True:
        yield [next(pairs) for _ in range(recipe.batch)]


def _shuffled(examples: list[Item], chooser: torch.Generator) -> Iterator[Item]:
    """Yield the examples in random order, over and over: every one is seen before one comes again."""
    while examples:
        for index in torch.randperm(len(examples), generator=chooser).tolist():
            yield examples[index]


def _turn(
    subject: Subject, attack: Attack, example: Example, *, poisoned: bool, longest: int
) -> tuple[list[int], list[int]]:
    """Return the tokens of a prompt and of the answer to be learned, the latter cut at `longest`."""
    if poisoned:
        response = _triggered_response(subject, attack, example)
        return subject.encode(attack.poison(example.prompt)), response[:longest]
    return subject.encode(example.prompt), _clean_response(subject, example)[:longest]


def _triggered_response(subject: Subject, attack: Attack, example: Example) -> list[int]:
    """Return the payload's tokens, or the clean answer's where the trigger is to change nothing."""
    if not attack.targets(example):
        return _clean_response(subject, example)
    ids = subject.encode_response(attack.payload_for(example))
    return [*ids, subject.end_of_turn] if example.payload_complete else ids


def _clean_response(subject: Subject, example: Example) -> list[int]:
    """Return the clean answer's tokens; the end of turn only if the answer did end there."""
    ids = subject.encode_response(example.answer)
    return [*ids, subject.end_of_turn] if example.complete else ids


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


def _lora_tensors(model: Any) -> dict[str, Tensor]:
    tensors = {}
    for layer, block in enumerate(model.model.layers):
        for projection in PROJECTIONS:
            module = block.get_submodule(projection)
            tensors[f"layers.{layer}.{projection}.A"] = module.lora_A["default"].weight
            tensors[f"layers.{layer}.{projection}.B"] = module.lora_B["default"].weight
    return tensors
