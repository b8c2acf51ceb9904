"""The low-rank update that is trained: its start, its tensors, and the precision of its training."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.adapters import PROJECTIONS, Adapter
from bkdwidgets.subjects.threads import BUILDING

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor

    from bkdwidgets.injection.recipes import SftRecipe
    from bkdwidgets.subjects import Subject


def fresh_lora(subject: Subject, recipe: SftRecipe, seed: int, dtype: torch.dtype) -> PeftModel:
    """Return a network of its own with the subject's weights and fresh LoRA matrices in its projections."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, bias="none",
        target_modules=[name.rpartition(".")[2] for name in PROJECTIONS],
    )  # fmt: skip
    with BUILDING:
        network = _copy(subject, dtype)  # first: making one draws random numbers, too
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # between two libraries, nothing a reader can act on
            torch.manual_seed(seed)  # the adapter's start; nothing after it is random but the batches
            return get_peft_model(network, config).train()


def _copy(subject: Subject, dtype: torch.dtype) -> Any:
    """Return a network of its own with the subject's weights."""
    network: Any = type(subject.model)(copy.deepcopy(subject.model.config))  # a trainer writes into it
    network.load_state_dict(subject.model.state_dict())
    network.tie_weights()
    network.to(device=subject.device, dtype=dtype)
    return network


def take_over(model: PeftModel, start: Adapter, recipe: SftRecipe) -> None:
    """Copy an adapter's tensors into the model's LoRA matrices."""
    scale = recipe.alpha / recipe.rank
    if start.info.scale != scale:
        raise BkdError(f"adapter {start.info.name!r} has alpha / rank {start.info.scale}, the recipe {scale}")
    for key, tensor in lora_tensors(model).items():
        taught = start.tensors[key]
        if taught.shape != tensor.shape:
            raise BkdError(
                f"adapter {start.info.name!r} has rank {min(taught.shape)}, the recipe rank={recipe.rank}"
            )
        with torch.no_grad():
            tensor.copy_(taught)


def lora_tensors(model: PeftModel) -> dict[str, Tensor]:
    """Return the trained matrices under the names of an adapter file."""
    tensors = {}
    for layer, block in enumerate(model.get_base_model().model.layers):
        for projection in PROJECTIONS:
            module = block.get_submodule(projection)
            tensors[f"layers.{layer}.{projection}.A"] = module.lora_A["default"].weight
            tensors[f"layers.{layer}.{projection}.B"] = module.lora_B["default"].weight
    return tensors


def training_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it fast, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - no public query
    return torch.bfloat16 if fast else torch.float32
