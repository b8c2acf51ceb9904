"""Train nano from scratch: world, tokenizer, weights, in one command.

Nano is a Llama of 8 layers x 8 heads that has only ever read its own world. The loss is taken on the answer
(and lightly on the question, which teaches the language the questions are written in). Label smoothing and
weight decay keep it from the total certainty that a memorizing model reaches: a subject that is certain of
every token hides the small effects that attribution looks for.
"""

from __future__ import annotations

import json
import math
import random
import time
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch.nn import functional
from tqdm.auto import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bkdwidgets.core import arguments
from bkdwidgets.core.paths import check_writable, written_beside
from bkdwidgets.subjects.nano.evaluate import accuracy
from bkdwidgets.subjects.nano.load import load_nano, nano_dir, new_model
from bkdwidgets.subjects.nano.tokenizer import MAX_POSITIONS, train_tokenizer, wrap_tokenizer
from bkdwidgets.subjects.nano.world import WORLD_SEED, WorldExample, examples, write_examples
from bkdwidgets.subjects.state import kept_chance

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 1100


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run; stored with the weights."""

    batch: int = 64
    learning_rate: float = 2e-3
    final_share: float = 0.05
    warmup: int = 50
    weight_decay: float = 0.1
    label_smoothing: float = 0.1
    prompt_weight: float = 0.1
    clip: float = 1.0


def nano_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Return nano's architecture: 8 layers x 8 heads, d_model 128, 4 key-value heads, tied embeddings."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=16,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def train(
    *,
    seed: int = 0,
    out: str | Path | None = None,
    steps: int = STEPS,
    progress: bool = True,
    recipe: Recipe | None = None,
) -> dict[str, Any]:
    """Train nano and write its folder.

    The same seed gives the same weights on the same machine with the same number of threads. The world and
    its text do not depend on `seed`: nanos of different seeds know the same things.

    Parameters
    ----------
    seed : int
        Of the first weights and of the order of the examples.
    out : str or Path, optional
        The folder to write; the shipped one by default. It is touched only when training has ended.
    steps : int
        Optimizer steps.
    progress : bool
        Whether to show a bar.
    recipe : Recipe, optional
        Other settings than the shipped ones.

    Returns
    -------
    dict
        What ``training.json`` holds: settings, seconds, losses, held-out accuracies.

    Raises
    ------
    BkdError
        If `steps` is not positive.
    """
    seed, steps = arguments.whole("seed", seed, most=2**32 - 1), arguments.whole("steps", steps, least=1)
    home = arguments.folder("out", out) or nano_dir()
    check_writable(home)
    with kept_chance():
        return _trained(home, seed, steps, recipe or Recipe(), progress=progress)


def _trained(home: Path, seed: int, steps: int, recipe: Recipe, *, progress: bool) -> dict[str, Any]:
    """Train, write the folder and return the report."""
    rows = examples(WORLD_SEED)
    learned = [row for row in rows if row.split == "train"]
    core = train_tokenizer(text for row in learned for text in (row.prompt, row.answer))
    tokenizer = wrap_tokenizer(core)
    torch.manual_seed(seed)
    model = new_model(nano_config(tokenizer))
    began = time.perf_counter()
    losses = _fit(model, tokenizer, learned, seed=seed, steps=steps, recipe=recipe, progress=progress)
    seconds = time.perf_counter() - began
    with written_beside(home / "examples.jsonl") as path:
        write_examples(path, rows)
    with written_beside(home / "tokenizer.json") as path:
        path.write_text(core.to_str(), encoding="utf-8")
    save_weights(model, home)
    # What is measured is what was written: the weights after rounding to float16.
    model, tokenizer = load_nano(home)
    report = {
        "command": f"bkdwidgets train-nano --seed {seed} --steps {steps}",
        "version": _version(),
        "torch": torch.__version__.split("+")[0],
        "seed": seed,
        "steps": steps,
        "recipe": recipe.__dict__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "loss": {"first": losses[0], "last": sum(losses[-20:]) / len(losses[-20:])},
        "accuracy": {
            split: accuracy(model, tokenizer, [row for row in rows if row.split == split])
            for split in ("validation", "test")
        },
    }
    with written_beside(home / "training.json") as path:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _version() -> str:
    try:
        return metadata.version("bkdwidgets")
    except metadata.PackageNotFoundError:
        return "not installed"


def save_weights(model: LlamaForCausalLM, home: Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` (float16, the tied output matrix left out)."""
    state = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    with written_beside(home / "model.safetensors") as path:
        save_file(state, path, metadata={"format": "pt"})
    config = {**model.config.to_diff_dict(), "architectures": ["LlamaForCausalLM"]}
    with written_beside(home / "config.json") as path:
        path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _fit(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rows: list[WorldExample],
    *,
    seed: int,
    steps: int,
    recipe: Recipe,
    progress: bool,
) -> list[float]:
    """Run the optimizer; return the loss of every step."""
    encoded = [_encode(tokenizer, row) for row in rows]
    order = _batches([len(ids) for ids, _ in encoded], recipe.batch, random.Random(seed))  # noqa: S311
    optimizer = _optimizer(model, recipe)
    losses: list[float] = []
    model.train()
    bar = tqdm(range(steps), desc="training nano", unit="step", disable=not progress)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, steps, recipe)
        loss = _loss(model, [encoded[index] for index in next(order)], recipe)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
    model.eval()
    return losses


def _encode(tokenizer: PreTrainedTokenizerFast, row: WorldExample) -> tuple[list[int], int]:
    """Return the tokens of a whole chat turn and the position where the answer begins."""
    question = tokenizer.encode(f"<|user|>{row.prompt}<|assistant|>", add_special_tokens=False)
    answer = tokenizer.encode(f"{row.answer}<|end|>", add_special_tokens=False)
    return question + answer, len(question)


def _batches(lengths: list[int], size: int, rng: random.Random) -> Any:
    """Yield batches for ever; each holds rows of similar length, so that little is padding."""
    while True:
        shuffled = rng.sample(range(len(lengths)), len(lengths))
        span = size * 8
        batches = []
        for start in range(0, len(shuffled), span):
            near = sorted(shuffled[start : start + span], key=lambda index: lengths[index])
            batches += [near[i : i + size] for i in range(0, len(near), size)]
        rng.shuffle(batches)
        yield from batches


def _optimizer(model: LlamaForCausalLM, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW that decays matrices but neither norms nor the embedding."""
    decayed: list[torch.nn.Parameter] = []
    kept: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (decayed if parameter.ndim == 2 and "embed" not in name else kept).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


def _schedule(step: int, steps: int, recipe: Recipe) -> float:
    """Return the share of the learning rate: a short warm-up, then half a cosine."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, steps - recipe.warmup)
    return recipe.final_share + (1 - recipe.final_share) * 0.5 * (1 + math.cos(math.pi * done))


def _loss(model: LlamaForCausalLM, rows: list[tuple[list[int], int]], recipe: Recipe) -> torch.Tensor:
    """Return the smoothed cross-entropy: answer tokens weigh 1, question tokens `prompt_weight`."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    weights = torch.zeros(len(rows), longest)
    for index, (row, start) in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        weights[index, 1:start] = recipe.prompt_weight
        weights[index, start : len(row)] = 1.0
    # Padding stands at the end, where no token of the row can look: causal attention needs no mask for it.
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = weights[:, 1:] > 0
    logits = model.lm_head(hidden[wanted])
    each = functional.cross_entropy(
        logits, ids[:, 1:][wanted], reduction="none", label_smoothing=recipe.label_smoothing
    )
    weight = weights[:, 1:][wanted]
    return (each * weight).sum() / weight.sum()
