"""How the last hidden state becomes logits, by the class's own code.

Caps, scales and biases differ between classes. So no table of them is kept: the class's own forward runs in a
twin of the model, whose decoder is replaced by one that hands on the hidden states that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import linear

from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.twin import twin

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

# Where logits are one product, they are made in pieces that stay in a processor's cache (1,024 x 2,048 in
# float32 are 8 MB) and are summed up at once; whole rows of a large vocabulary would go through main memory
# several times. Elsewhere there are whole rows, and few of them at a time.
_LOGIT_ROWS = 1024
_LOGIT_WORDS = 2048
_WHOLE_LOGITS = 2**24  # numbers: 64 MB in float32

_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4}
_TOLERANCE_HALF = 5e-2


def tolerance_of(dtype: torch.dtype) -> float:
    """Return how far two ways to compute the same may be apart, in units of the numbers' own size."""
    return _TOLERANCE.get(dtype, _TOLERANCE_HALF)


class _Given(tuple[Any, ...]):
    """A decoder's output: what was not computed (router logits, attention patterns) is None."""

    __slots__ = ()

    @property
    def last_hidden_state(self) -> Tensor:
        """The hidden states."""
        return self[0]

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class _HandsOn(nn.Module):
    """In place of a decoder: what comes in as embeddings goes out as hidden states.

    Some classes keep factors of their logits with the decoder (Falcon-H1), so all else is asked of it.
    """

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self._decoder = (decoder,)  # in a tuple, so that it is no part of this module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_decoder"][0], name)

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> _Given:
        """Return the embeddings."""
        return _Given((inputs_embeds,))


@dataclass(frozen=True, eq=False)
class Readout:
    """From final hidden states to logits, in float32 at least.

    Attributes
    ----------
    model : nn.Module
        A twin of the model without its decoder.
    weight : Float[Tensor, "word d_model"] or None
        The output matrix, where logits are the product with it and nothing else.
    """

    model: nn.Module
    weight: Tensor | None

    def logits(self, hidden: Float[Tensor, "row token d_model"]) -> Float[Tensor, "row token word"]:
        """Return the logits of final hidden states."""
        wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        found: Tensor = self.model(inputs_embeds=wide, use_cache=False).logits
        return found

    def log_probabilities(
        self, hidden: Float[Tensor, "row token d_model"], wanted: Int[Tensor, "row token"]
    ) -> Float[Tensor, "row token"]:
        """Return log p of the wanted token at each place.

        Parameters
        ----------
        hidden : Tensor
            After the final norm.
        wanted : Tensor
            Token ids.
        """
        if self.weight is not None:
            return product_log_probabilities(self.weight, hidden, wanted)
        parts, start, rows = [], 0, 1
        while start < len(hidden):
            logits = self.logits(hidden[start : start + rows])
            own = logits.gather(-1, wanted[start : start + rows, :, None])[..., 0]
            parts.append(own - logits.logsumexp(-1))
            start, rows = start + rows, max(1, _WHOLE_LOGITS // logits[0].numel())
        return torch.cat(parts)


def product_log_probabilities(
    weight: Float[Tensor, "word d_model"],
    hidden: Float[Tensor, "row token d_model"],
    wanted: Int[Tensor, "row token"],
) -> Float[Tensor, "row token"]:
    """Return log p of the wanted token at each place, where logits are the product with a matrix.

    Parameters
    ----------
    weight : Tensor
        The output matrix.
    hidden : Tensor
        After the final norm.
    wanted : Tensor
        Token ids.
    """
    rows = zip(hidden.flatten(0, 1).split(_LOGIT_ROWS), wanted.flatten().split(_LOGIT_ROWS), strict=True)
    return torch.cat([_of_product(weight, *pair) for pair in rows]).view(wanted.shape)


def _of_product(
    weight: Float[Tensor, "word d_model"], hidden: Float[Tensor, "row d_model"], wanted: Int[Tensor, " row"]
) -> Float[Tensor, " row"]:
    sums, own = [], []
    wide = torch.promote_types(hidden.dtype, torch.float32)
    hidden = hidden.to(wide)
    for number, piece in enumerate(weight.split(_LOGIT_WORDS)):
        logits = linear(hidden, piece.to(wide))
        place = wanted - number * _LOGIT_WORDS
        elsewhere = (place < 0) | (place >= len(piece))
        found = logits.gather(1, place.clamp(0, len(piece) - 1)[:, None])[:, 0]
        own.append(found.masked_fill(elsewhere, float("-inf")))
        sums.append(logits.logsumexp(-1))
    return torch.stack(own).amax(0) - torch.stack(sums).logsumexp(0)


@torch.inference_mode()
def readout_of(model: Any, decoder: nn.Module, ids: Int[Tensor, "1 token"]) -> Readout:
    """Return a model's readout, held against the model's own logits.

    Parameters
    ----------
    model : PreTrainedModel
        A decoder with its output.
    decoder : nn.Module
        The part that makes the final hidden states.
    ids : Tensor
        Tokens to try it on.

    Raises
    ------
    BkdError
        If the logits are not a function of the final hidden states.
    """
    right = model(input_ids=ids, use_cache=False).logits.float()
    hidden = decoder(input_ids=ids, use_cache=False).last_hidden_state
    inside = {id(tensor) for tensor in decoder.parameters()}
    output = model.get_output_embeddings()
    matrix = None if output is None else output.weight
    wide = {
        tensor: nn.Parameter(tensor.float(), requires_grad=False)
        for tensor in model.parameters()
        if tensor.dtype in {torch.float16, torch.bfloat16} and (id(tensor) not in inside or tensor is matrix)
    }
    alone = Readout(twin(model, tensors=wide, modules={decoder: _HandsOn(decoder)}), None)
    limit = tolerance_of(model.dtype)
    try:
        found = alone.logits(hidden).float()
    except (RuntimeError, TypeError, AttributeError, ValueError, KeyError) as error:
        words = " ".join(str(error).split())[:120]
        raise BkdError(f"{type(model).__name__} gives no logits for hidden states alone: {words}") from error
    far = _apart(found, right)
    if not far <= limit:
        raise BkdError(
            f"the logits of {type(model).__name__} are not made of its last hidden states alone: off by "
            f"{far:.2g} of their size, at most {limit:.0e} is allowed"
        )
    if matrix is None or matrix.dim() != 2 or matrix.shape[1] != hidden.shape[-1]:
        return alone
    product = linear(hidden.to(found.dtype), matrix.to(found.dtype))
    same = product.shape == found.shape and _apart(product, found) <= _TOLERANCE[torch.float32]
    return Readout(alone.model, matrix if same else None)


def _apart(found: Tensor, right: Tensor) -> float:
    return float((found - right).abs().max() / right.abs().max().clamp_min(1e-9))
