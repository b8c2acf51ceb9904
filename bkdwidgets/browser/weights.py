"""A subject's weights as they are stored: float16 of a safetensors file, or quantized blocks of a GGUF.

The names and the order of rows are those of Hugging Face's Llama. A GGUF file has the rows of the query
and key projections in another order, for its own way of computing rotary positions: there the two
numbers that rotate together are neighbors, here they are half a head apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.browser.pack import packed_floats, packed_q4_1, packed_q8_0
from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.subjects.spec import named
from bkdwidgets.subjects.specs import spec_or_plain, subjects_with_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from bkdwidgets.browser.pack import Packed
    from bkdwidgets.subjects.spec import PageSpec

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
    return str(named(_page(subject).sha256)())


def base_tensors(subject: str, shape: dict[str, Any]) -> Iterator[Packed]:
    """Yield the tensors of a subject without any adapter.

    Parameters
    ----------
    subject : str
        One whose spec has a page.
    shape : dict
        The index's ``shape``; its head counts say which rows a GGUF file has exchanged.

    Yields
    ------
    Packed
        ``embed`` [n_vocab, d_model], which is also the output matrix; ``norm`` [1, d_model]; and per layer
        ``layers.{l}.`` ``input_norm``, ``post_norm``, ``q``, ``k``, ``v``, ``o``, ``gate``, ``up``, ``down``.
    """
    page = _page(subject)
    read = {"safetensors": _safetensors, "gguf": _gguf}[page.form]
    return read(named(page.weights)(), shape)


def _page(subject: str) -> PageSpec:
    page = spec_or_plain(subject).page
    if page is None:
        raise unknown("subject for the browser", subject, subjects_with_page())
    return page


def _safetensors(path: Path, _shape: dict[str, Any]) -> Iterator[Packed]:
    from safetensors.numpy import load_file

    for name, values in sorted(load_file(path).items()):
        yield packed_floats(_from_hf(name), values)


def _from_hf(name: str) -> str:
    plain = name.removeprefix("model.").removesuffix(".weight")
    if not plain.startswith("layers."):
        return {"embed_tokens": "embed", "norm": "norm"}[plain]
    _, layer, inner = plain.split(".", 2)
    return f"layers.{layer}.{_HF_NAMES[inner]}"


def _gguf(path: Path, shape: dict[str, Any]) -> Iterator[Packed]:
    from gguf import GGUFReader

    for tensor in GGUFReader(path).tensors:
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
