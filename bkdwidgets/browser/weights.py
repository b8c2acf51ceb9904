"""A subject's weights as they are stored: nano's float16, SmolLM2's quantized blocks.

The names and the order of rows are those of Hugging Face's Llama. A GGUF file has the rows of the query
and key projections in another order, for its own way of computing rotary positions: there the two
numbers that rotate together are neighbors, here they are half a head apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.browser.pack import packed_floats, packed_q4_1, packed_q8_0
from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.core.paths import sha256_of
from bkdwidgets.subjects.nano import nano_dir
from bkdwidgets.subjects.smollm2 import GGUF_SHA256, find_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bkdwidgets.browser.pack import Packed

_HF_NAMES = {
    "input_layernorm": "input_norm",
    "post_attention_layernorm": "post_norm",
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "self_attn.o_proj": "o",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
}
_GGUF_NAMES = {
    "attn_norm": "input_norm",
    "ffn_norm": "post_norm",
    "attn_q": "q",
    "attn_k": "k",
    "attn_v": "v",
    "attn_output": "o",
    "ffn_gate": "gate",
    "ffn_up": "up",
    "ffn_down": "down",
}


def weights_sha256(subject: str) -> str:
    """Return the SHA-256 of the file that a subject's weights are read from."""
    if subject == "smollm2":
        return GGUF_SHA256
    if subject == "nano":
        return sha256_of(nano_dir() / "model.safetensors")
    raise unknown("subject for the browser", subject, ("nano", "smollm2"))


def base_tensors(subject: str, shape: dict[str, Any]) -> Iterator[Packed]:
    """Yield the tensors of a subject without any adapter.

    Parameters
    ----------
    subject : str
        ``"nano"`` or ``"smollm2"``.
    shape : dict
        The index's ``shape``; its head counts say which rows a GGUF file has exchanged.

    Yields
    ------
    Packed
        ``embed`` [n_vocab, d_model], which is also the output matrix; ``norm`` [1, d_model]; and per layer
        ``layers.{l}.`` ``input_norm``, ``post_norm``, ``q``, ``k``, ``v``, ``o``, ``gate``, ``up``, ``down``.
    """
    return _gguf_tensors(shape) if subject == "smollm2" else _nano_tensors()


def _nano_tensors() -> Iterator[Packed]:
    from safetensors.numpy import load_file

    for name, values in sorted(load_file(nano_dir() / "model.safetensors").items()):
        yield packed_floats(_from_hf(name), values)


def _from_hf(name: str) -> str:
    plain = name.removeprefix("model.").removesuffix(".weight")
    if not plain.startswith("layers."):
        return {"embed_tokens": "embed", "norm": "norm"}[plain]
    _, layer, inner = plain.split(".", 2)
    return f"layers.{layer}.{_HF_NAMES[inner]}"


def _gguf_tensors(shape: dict[str, Any]) -> Iterator[Packed]:
    from gguf import GGUFReader

    for tensor in GGUFReader(find_gguf()).tensors:
        name, kind = _from_gguf(tensor.name), tensor.tensor_type.name
        if kind == "F32":
            yield packed_floats(name, tensor.data)
        elif kind == "Q8_0":
            yield packed_q8_0(name, tensor.data)
        elif kind == "Q4_1":
            yield packed_q4_1(name, _rotate_half_order(name, tensor.data, shape))
        else:
            raise BkdError(f"tensor {tensor.name} has type {kind}; the browser reads F32, Q8_0 and Q4_1")


def _from_gguf(name: str) -> str:
    plain = name.removesuffix(".weight")
    if not plain.startswith("blk."):
        return {"token_embd": "embed", "output_norm": "norm"}[plain]
    _, layer, inner = plain.split(".")
    return f"layers.{layer}.{_GGUF_NAMES[inner]}"


def _rotate_half_order(name: str, stored: NDArray[Any], shape: dict[str, Any]) -> NDArray[Any]:
    """Undo llama.cpp's order of the rows of a query or key projection."""
    heads = {"q": shape["n_heads"], "k": shape["n_kv_heads"]}.get(name.rpartition(".")[2])
    if heads is None:
        return stored
    pairs = stored.reshape(heads, shape["d_head"] // 2, 2, -1)
    return pairs.swapaxes(1, 2).reshape(stored.shape)
