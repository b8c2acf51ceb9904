"""A tiny random Llama in quantized blocks, as an exported folder: what nano, in float16, cannot test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from transformers import LlamaConfig, LlamaForCausalLM

from bkdwidgets.browser.pack import packed_floats, packed_q4_1, packed_q8_0
from bkdwidgets.browser.parts import write_parts

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = LlamaConfig(
    vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, head_dim=16, max_position_embeddings=64, rms_norm_eps=1e-5,
    tie_word_embeddings=False, attn_implementation="eager",
)  # fmt: skip
NAMES = {
    "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
    "input_norm": "input_layernorm", "post_norm": "post_attention_layernorm",
}  # fmt: skip


def write_tiny(folder: Path) -> Path:
    """Write the folder, and beside its index what torch computes with the same, dequantized weights."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(CONFIG).eval()
    places = {"embed": "model.embed_tokens", "unembed": "lm_head", "norm": "model.norm"}
    places |= {
        f"layers.{layer}.{short}": f"model.layers.{layer}.{long}"
        for layer in range(CONFIG.num_hidden_layers)
        for short, long in NAMES.items()
    }
    packed = [_packed(name, model.get_submodule(place)) for name, place in places.items()]
    folder.mkdir(parents=True)
    parts, tensors = write_parts(packed, folder, "base")
    shape = {
        "n_layers": 3, "n_heads": 4, "n_kv_heads": 2, "d_head": 16, "d_model": 64, "d_ff": 96, "n_vocab": 96,
        "rms_eps": 1e-5, "rope_theta": 10000.0,
    }  # fmt: skip
    ids = np.random.default_rng(0).integers(0, 96, size=29).tolist()
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0]
    index = {"shape": shape, "base": {"parts": parts, "tensors": tensors}, "adapters": []}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "torch.json").write_text(
        json.dumps({"ids": ids, "logits": logits.flatten().tolist()}), encoding="utf-8"
    )
    return folder


def _packed(name: str, module: torch.nn.Module):
    """Pack a weight, and put into the model what the browser will read."""
    weight = module.weight.data
    weight.copy_(torch.randn_like(weight) * 0.2 + (0.05 if weight.ndim == 2 else 1.0))
    if weight.ndim == 1:
        return packed_floats(name, weight.numpy())
    if name.endswith(".up"):  # one matrix of plain floats among the blocks
        return packed_floats(name, weight.numpy())
    kind, pack = (
        (GGMLQuantizationType.Q8_0, packed_q8_0)
        if name in {"embed", "unembed"}
        else (GGMLQuantizationType.Q4_1, packed_q4_1)
    )
    stored = quantize(weight.numpy(), kind)
    weight.copy_(torch.from_numpy(dequantize(stored, kind)))
    return pack(name, stored)
