"""Suffix replay of a subject: P(answer) with each head, or each MLP, overwritten at the last prompt token.

What it is, and which way of it is right for a model: see :mod:`bkdwidgets.analysis.suffix`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from bkdwidgets.analysis.suffix import SuffixReplay
from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.analysis.suffix import Kind
    from bkdwidgets.subjects import Subject


@dataclass(frozen=True)
class Replay:
    """Probabilities of the target, patched part by part.

    Attributes
    ----------
    base : Float[Tensor, ""]
        Length-normalized P(target | prompt), float64.
    patched : Float[Tensor, "layer part"]
        The same with one part overwritten, float64; a part is a head, or the layer's one MLP.
    n_forward_tokens : int
        Tokens pushed through a block.
    """

    base: Tensor
    patched: Float[Tensor, "layer part"]
    n_forward_tokens: int


def replay_heads(
    subject: Subject, prompt: list[int], target: list[int], values: Float[Tensor, "layer head d_head"]
) -> Replay:
    """Overwrite each head in turn by its value at the last prompt token; return P(target) each time.

    Parameters
    ----------
    subject : Subject
        Any decoder that has the seam ``"heads"``, the same number of them in each block.
    prompt, target : list of int
        Token ids of the chat turn and of the answer whose probability is asked for.
    values : Tensor
        What each head is overwritten with, shape [layer, head, d_head].

    Raises
    ------
    BkdError
        If `values` has another shape or holds values that are not finite numbers.
    """
    return replaying(subject, "heads", values)(prompt, target)


def replay_mlps(
    subject: Subject, prompt: list[int], target: list[int], values: Float[Tensor, "layer d_model"]
) -> Replay:
    """Overwrite each MLP layer's output in turn at the last prompt token; return P(target) each time.

    Parameters
    ----------
    subject : Subject
        Any decoder that has the seam ``"mlp"``.
    prompt, target : list of int
        Token ids of the chat turn and of the answer whose probability is asked for.
    values : Tensor
        What each MLP's output is overwritten with, shape [layer, d_model].

    Raises
    ------
    BkdError
        If `values` has another shape or holds values that are not finite numbers.
    """
    return replaying(subject, "mlp", values)(prompt, target)


def replaying(subject: Subject, kind: Kind, values: Tensor) -> Callable[[list[int], list[int]], Replay]:
    """Return what replays prompt after prompt with the same values.

    Parameters
    ----------
    subject : Subject
        Whose parts are overwritten.
    kind : str
        Which: ``"heads"`` or ``"mlp"``.
    values : Tensor
        As in :func:`replay_heads` and :func:`replay_mlps`.

    Raises
    ------
    BkdError
        If the model has no such seam, or the values do not fit it.
    """
    anatomy = subject.anatomy
    anatomy.require(kind)
    shape = anatomy.head_shape() if kind == "heads" else (len(anatomy.blocks), anatomy.d_model)
    if tuple(values.shape) != shape:
        raise BkdError(
            f"replacement values have shape {list(values.shape)}; {subject.name} needs {list(shape)}"
        )
    if not bool(torch.isfinite(values).all()):
        raise BkdError("replacement values are not all finite numbers; no patch can be made of them")
    suffix = subject.kept(("suffix replay", kind), lambda: SuffixReplay(anatomy, kind))

    def replay(prompt: list[int], target: list[int]) -> Replay:
        found = suffix(prompt, target, list(values))
        return Replay(found.base.exp(), torch.stack(found.parts).exp(), found.n_forward_tokens)

    return replay
