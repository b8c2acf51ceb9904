"""Where heads and MLPs of a decoder write, found by running it.

Names differ between architectures (`o_proj`, `c_proj`, `dense`, `out_proj`), so they are not asked for.

* Where heads write: the model runs with an attention function in which head h outputs ones in row h and
  zeros elsewhere. The projection whose input then has ones in its own head's slice alone is where heads are
  written, and its slices are heads in order.
* What is written to the residual stream: the sum ``out = in + a * attention + m * mlp`` is solved for
  the modules of a block. Norms behind the projection (Gemma 2) and factors (Granite) show in the solution.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bkdwidgets.subjects.attending import attending
from bkdwidgets.subjects.readout import tolerance_of
from bkdwidgets.subjects.threads import after, after_with_keywords, before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from torch import Tensor

_MIXERS = ("attn", "attention", "mamba", "conv", "recurrent")
_DEEPEST = 1  # dots in a path inside a block: its children and their children
_MUCH_BETTER = 0.1


@dataclass(frozen=True)
class Write:
    """A module whose output, times a factor, is added to the residual stream.

    Attributes
    ----------
    path : str
        Of the module, in the model.
    scale : float
        The factor.
    """

    path: str
    scale: float


@dataclass(frozen=True)
class HeadSeam:
    """Where the heads of a block write.

    Attributes
    ----------
    path : str
        Of the projection whose input is all head outputs side by side, in the model.
    n_heads, d_head : int
        Heads, and the width of a head's *output*.
    gated : bool
        Something, a gate or a norm, lies between attention and projection: a head's output is not
        ``pattern @ value``. Overwriting it is well defined all the same.
    by : str
        How it was found: ``"marks"`` or ``"shape"``.
    """

    path: str
    n_heads: int
    d_head: int
    gated: bool
    by: str


@dataclass(frozen=True)
class Sum:
    """What a block adds to the residual stream; None where it is not attention and MLP.

    Attributes
    ----------
    attention, mlp : Write or None
        The two summands.
    error : float
        What the best two leave unexplained, as a share.
    """

    attention: Write | None
    mlp: Write | None
    error: float


def is_projection(module: nn.Module) -> bool:
    """Tell whether a module has one matrix and is no table of embeddings."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == 2 and not isinstance(module, nn.Embedding)


def main_tensor(output: Any) -> Tensor | None:
    """Return what a module hands on: its output, or the first part of it."""
    found = output[0] if isinstance(output, tuple) and output else output
    return found if isinstance(found, torch.Tensor) else None


class _Marks:
    """An attention whose outputs say which head they are of."""

    def __init__(self) -> None:
        self.last: tuple[nn.Module, int, int] | None = None

    def __call__(
        self,
        module: nn.Module,
        query: Float[Tensor, "row head token d_key"],
        key: Tensor,  # noqa: ARG002 - the protocol's names
        value: Float[Tensor, "row group token d_head"],
        attention_mask: Tensor | None,  # noqa: ARG002
        **settings: Any,  # noqa: ARG002
    ) -> Float[Tensor, "row token head d_head"]:
        rows, n_heads, n_tokens, _ = query.shape
        self.last = (module, n_heads, value.shape[-1])
        own = torch.eye(rows, n_heads, dtype=query.dtype, device=query.device)
        return own[:, None, :, None].expand(rows, n_tokens, n_heads, value.shape[-1]).contiguous()


@torch.inference_mode()
def marked_heads(
    model: Any, decoder: nn.Module, blocks: Sequence[nn.Module], n_heads: int
) -> dict[int, HeadSeam] | None:
    """Return where the heads of each block write; None if the model does not use our attention at all.

    Parameters
    ----------
    model : PreTrainedModel
        Its configuration names our attention function.
    decoder : nn.Module
        The part of it that is run.
    blocks : sequence of nn.Module
        Its blocks.
    n_heads : int
        Heads in a block, at most.
    """
    path_of = {module: path for path, module in model.named_modules()}
    block_of = {part: number for number, block in enumerate(blocks) for part in block.modules()}
    marks, found, rows = _Marks(), dict[int, HeadSeam](), max(n_heads, 1)
    tokens = torch.ones(rows, 2, dtype=torch.long, device=model.device)

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        number = block_of[module]
        if number in found or marks.last is None or block_of.get(marks.last[0]) != number:
            return
        _, heads, width = marks.last
        if inputs[0].shape[-1] != heads * width:
            return
        z = inputs[0].reshape(rows, -1, heads, width)[:heads, 0]  # [row, head, d_head]
        own = torch.eye(heads, dtype=torch.bool, device=z.device)
        if not bool((z[~own] != 0).any()):
            found[number] = HeadSeam(
                path_of[module], heads, width, gated=not bool((z[own] == 1).all()), by="marks"
            )

    with ExitStack() as stack:
        stack.enter_context(attending(marks))
        for block in blocks:
            for module in filter(is_projection, block.modules()):
                stack.callback(before(module, look).remove)
        decoder(input_ids=tokens, use_cache=False)
    return None if marks.last is None else found


@torch.inference_mode()
def shaped_heads(
    model: Any,
    decoder: nn.Module,
    blocks: Sequence[nn.Module],
    sizes: tuple[int, int, int],
    ids: Int[Tensor, "1 token"],
) -> dict[int, HeadSeam]:
    """Return the last projection of the right shape that runs inside what is called attention, by block.

    For models that compute attention in their own way (GPT-J, BLOOM, Falcon, MPT).

    Parameters
    ----------
    model, decoder, blocks : nn.Module
        As in :func:`marked_heads`.
    sizes : tuple of int
        Heads in a block, width of a head's output, and width of the residual stream.
    ids : Tensor
        Tokens to run.
    """
    n_heads, d_head, d_model = sizes
    path_of = {module: path for path, module in model.named_modules()}
    block_of = {part: number for number, block in enumerate(blocks) for part in block.modules()}
    found: dict[int, HeadSeam] = {}

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if inputs[0].shape[-1] == n_heads * d_head and output.shape[-1] == d_model:
            found[block_of[module]] = HeadSeam(path_of[module], n_heads, d_head, gated=False, by="shape")

    with ExitStack() as stack:
        for block in blocks:
            for name, child in block.named_children():
                if "attn" in name or ("attention" in name and "norm" not in name):
                    for module in filter(is_projection, child.modules()):
                        stack.callback(after(module, keep).remove)
        decoder(input_ids=ids, use_cache=False)
    return found


def mlp_of(block: nn.Module, out: nn.Module | None) -> nn.Module | None:
    """Return the child with the most weights beside attention and other mixers of tokens, or None."""
    rest = [
        child
        for name, child in block.named_children()
        if not any(part in name.lower() for part in _MIXERS)
        and all(module is not out for module in child.modules())
        and any(tensor.ndim >= 2 for tensor in child.parameters())
        and not is_projection(child)
    ]
    return max(rest, key=lambda child: sum(tensor.numel() for tensor in child.parameters()), default=None)


@dataclass(frozen=True, eq=False)
class _Seen:
    module: nn.Module
    given: Tensor | None
    output: Tensor


@torch.inference_mode()
def sums(
    model: Any,
    decoder: nn.Module,
    blocks: Sequence[nn.Module],
    outs: Sequence[nn.Module | None],
    ids: Int[Tensor, "1 token"],
) -> tuple[list[Sum], set[nn.Module]]:
    """Return what each block adds to the residual stream, and the projections that are the end of a module.

    Parameters
    ----------
    model, decoder, blocks : nn.Module
        As in :func:`marked_heads`.
    outs : sequence of nn.Module or None
        Where heads write, by block.
    ids : Tensor
        Tokens to run.
    """
    path_of = {module: path for path, module in model.named_modules()}
    seen: list[dict[str, _Seen]] = [{} for _ in blocks]

    def keeping(number: int, name: str) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
            value, given = main_tensor(output), inputs[0] if inputs else keywords.get("hidden_states")
            if value is not None:  # copies, because Falcon adds to outputs in place
                kept = given.clone() if isinstance(given, torch.Tensor) else None
                seen[number][name] = _Seen(module, kept, value.clone())

        return keep

    with ExitStack() as stack:
        for number, block in enumerate(blocks):
            for name, module in block.named_modules():
                if name.count(".") <= _DEEPEST:
                    stack.callback(after_with_keywords(module, keeping(number, name)).remove)
        decoder(input_ids=ids, use_cache=False)
    ends = {last for parts in seen for last in _ends(parts)}
    return [
        _sum(parts, out, path_of, tolerance_of(model.dtype)) for parts, out in zip(seen, outs, strict=True)
    ], ends


def _ends(parts: dict[str, _Seen]) -> list[nn.Module]:
    """Return the projections whose output is what the module around them hands on."""
    found = []
    for name, inner in parts.items():
        outer = parts.get(name.rpartition(".")[0]) if "." in name else None
        if outer is not None and is_projection(inner.module) and torch.equal(inner.output, outer.output):
            found.append(inner.module)
    return found


def _sum(parts: dict[str, _Seen], out: nn.Module | None, path_of: dict[nn.Module, str], limit: float) -> Sum:
    """Solve ``out - in = a * attention + m * mlp`` for two modules of one block."""
    whole = parts.pop("", None)
    if whole is None or whole.given is None or whole.given.shape != whole.output.shape:
        return Sum(None, None, float("inf"))
    change = (whole.output.cpu().double() - whole.given.cpu().double()).flatten()
    fits = {name: part for name, part in parts.items() if part.output.numel() == change.numel()}
    # the projection, what contains it, and a norm that is handed its output
    holders = {
        name
        for name, part in fits.items()
        if out is not None and any(m is out for m in part.module.modules())
    }
    norms = {
        name
        for name, part in fits.items()
        if part.given is not None
        and any(
            part.given.shape == fits[holder].output.shape and torch.equal(part.given, fits[holder].output)
            for holder in holders
        )
    }

    def order(name: str) -> tuple[bool, int]:  # modules with weights first, and outer ones
        return not any(True for _ in fits[name].module.parameters()), name.count(".")

    best = Sum(None, None, float("inf"))
    for attention in sorted(holders | norms, key=order):
        for mlp in sorted(set(fits) - holders - norms, key=order):
            basis = torch.stack([fits[name].output.cpu().double().flatten() for name in (attention, mlp)], 1)
            scales = torch.linalg.lstsq(basis, change[:, None]).solution[:, 0]
            error = float((basis @ scales - change).norm() / change.norm())
            if error < _MUCH_BETTER * best.error:
                of, into = (
                    Write(path_of[fits[name].module], float(scale))
                    for name, scale in zip((attention, mlp), scales, strict=True)
                )
                best = Sum(of, into, error)
    return best if best.error < limit else Sum(None, None, best.error)
