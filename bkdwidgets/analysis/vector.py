"""The backdoor vector: what the backdoor's heads together write, as one direction.

``v = sum over the chosen heads of a(l, h)``, with ``a(l, h)`` the head's mean output over triggered
prompts at the last prompt token, in residual space (arXiv 2509.21761, section 4). Added to one block's
attention output it should switch the backdoor on, subtracted it should switch it off.

Two companions stand beside it. ``difference`` sums triggered mean minus clean mean over the same
heads: what the trigger changes rather than what the heads say anyway. ``random`` is the control: a
random direction of the paper vector's length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from bkdwidgets.analysis.activations import mean_head_outputs, output_weights
from bkdwidgets.attacks.base import check_pair
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import check_inside, once_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

KINDS = ("paper", "difference", "random")


@dataclass(frozen=True, eq=False)
class BackdoorVector:
    """A direction in the residual stream and where it came from.

    Attributes
    ----------
    tensor : Float[Tensor, "d_model"]
        The vector, float32, on the CPU.
    heads : tuple of (int, int)
        The heads it sums over.
    kind : {"paper", "difference", "random"}
        How it was made.
    """

    tensor: Float[Tensor, " d_model"]
    heads: tuple[tuple[int, int], ...]
    kind: str

    @property
    def norm(self) -> float:
        """Euclidean length."""
        return float(self.tensor.norm())

    def __repr__(self) -> str:
        """Say what it is, without the numbers."""
        return f"BackdoorVector({self.kind}, {len(self.heads)} heads, norm {self.norm:.2f})"


def backdoor_vector(
    subject: Subject, attack: Attack, *, heads: Sequence[tuple[int, int]], kind: str = "paper", seed: int = 0
) -> BackdoorVector:
    """Build the vector from chosen heads.

    Parameters
    ----------
    subject : Subject
        The backdoored subject.
    attack : Attack
        Its attack; means are taken over training prompts.
    heads : sequence of (int, int)
        Usually ``effects.top(32)``.
    kind : {"paper", "difference", "random"}
        See the module's text.
    seed : int
        For ``"random"``.
    """
    check_pair(subject, attack)
    arguments.one_of("kind of vector", kind, KINDS)
    seed = arguments.whole("seed", seed)
    chosen = once_each("heads", heads)
    if not chosen:
        raise BkdError("heads=[] is empty; a vector needs at least one head")
    check_inside(chosen, (subject.n_layers, subject.n_heads), subject.name)
    means = mean_head_outputs(subject, attack, triggered=True)
    if kind == "difference":
        means = means - mean_head_outputs(subject, attack, triggered=False)
    total = torch.zeros(subject.d_model)
    for layer, head in chosen:
        total += means[layer, head] @ output_weights(subject, layer)[head].float().cpu()
    vector = BackdoorVector(tensor=total, heads=chosen, kind=kind)
    return random_like(vector, seed=seed) if kind == "random" else vector


def random_like(vector: BackdoorVector, *, seed: int) -> BackdoorVector:
    """Return the control of a vector: a random direction, uniform on the sphere, of the same length."""
    direction = torch.randn(len(vector.tensor), generator=torch.Generator().manual_seed(seed))
    scaled = direction * (vector.norm / float(direction.norm()))
    return BackdoorVector(tensor=scaled, heads=vector.heads, kind="random")
