"""What a decoder is made of, found by looking at a few passes and checked by numbers.

Studies ask a model for *seams*: places where what one part says to the others can be read and overwritten.
No table of architectures is kept. What a model does not have, or what does not check out, is refused by the
seam's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.attending import ATTENTION
from bkdwidgets.subjects.readout import Readout, readout_of, tolerance_of
from bkdwidgets.subjects.seams import (
    HeadSeam,
    Sum,
    Write,
    is_projection,
    marked_heads,
    mlp_of,
    shaped_heads,
    sums,
)
from bkdwidgets.subjects.twin import twin

if TYPE_CHECKING:
    from collections.abc import Sequence

SeamName = Literal["heads", "mlp", "attention_write", "mlp_out"]
_TOKENS = 5


@dataclass(frozen=True)
class Block:
    """One block of a decoder.

    Attributes
    ----------
    path : str
        Of the block, in the model; its first argument, or `hidden_states`, is the residual stream.
    heads : HeadSeam or None
        Where heads write; None if the block has no attention.
    mlp : str or None
        Path of the module whose output is the MLP's; None where it is no module (OPT).
    mlp_out : str or None
        Path of the one projection that makes the MLP's output; None where experts make it.
    added : Sum
        What is added to the residual stream.
    """

    path: str
    heads: HeadSeam | None
    mlp: str | None
    mlp_out: str | None
    added: Sum

    @property
    def n_heads(self) -> int:
        """Number of heads, 0 if there is no attention."""
        return 0 if self.heads is None else self.heads.n_heads

    @property
    def d_head(self) -> int:
        """Width of a head's output, 0 if there is no attention."""
        return 0 if self.heads is None else self.heads.d_head

    @property
    def attention_write(self) -> Write | None:
        """What attention adds to the residual stream."""
        return self.added.attention

    @property
    def mlp_write(self) -> Write | None:
        """What the MLP adds to the residual stream."""
        return self.added.mlp


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A decoder and its seams.

    Attributes
    ----------
    model : PreTrainedModel
        The network.
    decoder_path : str
        Path of the part that makes the final hidden states.
    blocks : tuple of Block
        In order.
    readout : Readout
        From the final hidden states to logits.
    attends : PreTrainedModel or None
        A twin on the same tensors that uses our attention function; None where the model uses none that can
        be exchanged.
    """

    model: Any
    decoder_path: str
    blocks: tuple[Block, ...]
    readout: Readout
    attends: Any

    def decoder(self, model: nn.Module) -> nn.Module:
        """Return the decoder of the model or of its twin."""
        return model.get_submodule(self.decoder_path)

    @property
    def heads(self) -> list[tuple[int, int]]:
        """All heads as (block, head)."""
        return [(layer, head) for layer, block in enumerate(self.blocks) for head in range(block.n_heads)]

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    def missing(self, seam: SeamName) -> str | None:
        """Say why there is no such seam in any block, or in one of them; None if it is there.

        Hybrids have blocks without attention: for the seam ``"heads"`` one block with heads is enough.
        """
        if seam == "heads":
            return None if self.heads else "no projection was found that heads write through"
        for number, block in enumerate(self.blocks):
            if seam == "attention_write" and block.heads is not None and block.attention_write is None:
                return (
                    f"block {number} is not its input plus attention plus MLP: {block.added.error:.2g} of "
                    f"what it adds is left, at most {tolerance_of(self.model.dtype):.0e} is allowed"
                )
            if seam == "mlp" and block.mlp is None:
                return f"the MLP of block {number} is no module of its own"
            if seam == "mlp_out" and block.mlp_out is None:
                return f"no one projection makes the MLP's output in block {number}"
        return None

    def require(self, seam: SeamName) -> None:
        """Refuse a model without a seam.

        Raises
        ------
        BkdError
            If it has none.
        """
        missing = self.missing(seam)
        if missing is not None:
            raise BkdError(f"{type(self.model).__name__} has no seam {seam!r}: {missing}")

    def head_shape(self) -> tuple[int, int, int]:
        """Return the numbers of blocks and of heads in each, and a head's width.

        Raises
        ------
        BkdError
            If they differ between blocks, so that there is no table of layers and heads.
        """
        self.require("heads")
        shapes = sorted({(block.n_heads, block.d_head) for block in self.blocks})
        if len(shapes) > 1:
            words = ", ".join(f"{n_heads} of width {d_head}" for n_heads, d_head in shapes)
            raise BkdError(
                f"blocks of {type(self.model).__name__} differ in their heads ({words}); "
                "a table of layers and heads needs the same in each"
            )
        return len(self.blocks), *shapes[0]


def anatomy_of(model: Any) -> Anatomy:
    """Find the seams of a decoder by running it on a few tokens.

    The model is left as it is: what has to be changed for a look is changed in a twin on the same tensors.

    Parameters
    ----------
    model : PreTrainedModel
        A decoder with its output, in evaluation mode.

    Raises
    ------
    BkdError
        If it has no list of blocks, or its logits are not made of its last hidden states.
    """
    config = model.config.get_text_config(decoder=True)
    decoder_path, blocks_path = _blocks(model, int(config.num_hidden_layers))
    decoder = model.get_submodule(decoder_path)
    n_words = int(model.get_input_embeddings().weight.shape[0])
    ids = torch.randint(0, n_words, (1, _TOKENS), generator=torch.Generator().manual_seed(0)).to(model.device)
    readout = readout_of(model, decoder, ids)
    n_heads, d_model = int(config.num_attention_heads), int(config.hidden_size)
    attends = twin(model)
    attends.set_attn_implementation(ATTENTION)
    heads = marked_heads(
        attends, attends.get_submodule(decoder_path), list(attends.get_submodule(blocks_path)), n_heads
    )
    blocks = list(model.get_submodule(blocks_path))
    if heads is None:
        attends = None
        width = int(getattr(config, "head_dim", None) or d_model // n_heads)
        heads = shaped_heads(model, decoder, blocks, (n_heads, width, d_model), ids)
    return Anatomy(model, decoder_path, _described(model, decoder, blocks, heads, ids), readout, attends)


def _described(
    model: Any,
    decoder: nn.Module,
    blocks: Sequence[nn.Module],
    heads: dict[int, HeadSeam],
    ids: torch.Tensor,
) -> tuple[Block, ...]:
    path_of = {module: path for path, module in model.named_modules()}
    outs = [
        model.get_submodule(heads[number].path) if number in heads else None for number in range(len(blocks))
    ]
    added, ends = sums(model, decoder, blocks, outs, ids)
    found = []
    for number, (block, out) in enumerate(zip(blocks, outs, strict=True)):
        mlp = mlp_of(block, out)
        write = added[number].mlp
        if mlp is not None and write is not None and write.path.startswith(f"{path_of[mlp]}."):
            mlp = model.get_submodule(write.path)  # BLOOM, MPT: the module hands on the residual stream too
        if mlp is None or is_projection(mlp):
            last = mlp
        else:
            last = next((child for child in mlp.children() if child in ends), None)
        mlp_path, last_path = (None if part is None else path_of[part] for part in (mlp, last))
        found.append(Block(path_of[block], heads.get(number), mlp_path, last_path, added[number]))
    return tuple(found)


def _blocks(model: Any, n_blocks: int) -> tuple[str, str]:
    """Return the paths of whoever owns the list of blocks, and of the list.

    transformers' own `get_decoder` is a best effort, and wrong for the text part of Llama 4.
    """
    owned = [
        (path, f"{path}.{name}".lstrip("."), child)
        for path, owner in model.named_modules()
        for name, child in owner.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == n_blocks
    ]
    if not owned:
        raise BkdError(f"{type(model).__name__} has no list of {n_blocks} blocks; is it a decoder?")
    largest = max(owned, key=lambda item: sum(tensor.numel() for tensor in item[2].parameters()))
    return largest[:2]
