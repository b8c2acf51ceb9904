"""Interventions: ablate heads, steer with a vector.

Both act at the last prompt token, as in the paper, or everywhere: at every prompt token and every
token of the answer. They are plain values; hooks exist only while a model runs with them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from bkdwidgets.analysis.activations import MEAN_PROMPTS, kept_mean, mean_head_outputs
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.core.heads import check_inside, once_each
from bkdwidgets.subjects.edits import Edit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.analysis.vector import BackdoorVector
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

KINDS = ("zero", "mean", "resample")
PLACES = ("last", "all")


@dataclass(frozen=True, eq=False)
class Ablation:
    """Take heads out of the computation.

    Attributes
    ----------
    heads : tuple of (int, int)
        (layer, head) pairs.
    kind : {"zero", "mean", "resample"}
        What replaces a head's output: zeros; its mean over clean training prompts; or its output on one
        clean training prompt, drawn with `seed` and the same for all heads. Zeros are far from anything
        the model has seen, the mean is what the head usually says, and a resampled output is one that
        really occurs, next to what the other heads said at that moment.
    where : {"last", "all"}
        At the last prompt token (the paper's choice), or at every token. What is put in was read at the
        last token of a prompt in either case.
    fill : Tensor, optional
        [n_layers, n_heads, d_head] of replacement values for ``"mean"`` and ``"resample"``.
        ``bkd.measure`` computes them itself when none are given.
    seed : int
        Draws the prompt of ``"resample"``. One prompt serves all rows of a measurement, so a rate
        depends on the draw: repeat it with several seeds.
    """

    heads: Sequence[tuple[int, int]]
    kind: str = "zero"
    where: str = "last"
    fill: Tensor | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be an ablation."""
        object.__setattr__(self, "heads", once_each("heads", self.heads))
        object.__setattr__(self, "seed", arguments.whole("seed", self.seed))
        arguments.one_of("kind of ablation", self.kind, KINDS)
        arguments.one_of("place of ablation", self.where, PLACES)
        if self.fill is not None:
            arguments.instance("fill", self.fill, torch.Tensor, "torch.from_numpy, for example,")
            if not bool(torch.isfinite(self.fill).all()):
                raise BkdError("fill has values that are not finite numbers")

    def edits(self, subject: Subject) -> list[Edit]:
        """Return one overwrite per head."""
        check_inside(self.heads, (subject.n_layers, subject.n_heads), subject.name)
        if self.kind == "zero":
            values = torch.zeros(subject.n_layers, subject.n_heads, subject.d_head)
        elif self.fill is not None:
            values = self.fill
        else:
            raise BkdError(
                f"Ablation(kind={self.kind!r}) has no values yet; give fill=..., or pass it to bkd.measure"
            )
        if (shape := tuple(values.shape)) != (subject.n_layers, subject.n_heads, subject.d_head):
            raise BkdError(
                f"fill has shape {list(shape)}; "
                f"{subject.name} needs [{subject.n_layers}, {subject.n_heads}, {subject.d_head}]"
            )
        return [Edit(layer, head, values[layer, head], self.where == "all") for layer, head in self.heads]

    def prepared(self, subject: Subject, attack: Attack) -> Ablation:
        """Return the same ablation with its replacement values filled in."""
        if self.kind == "zero" or self.fill is not None:
            return self
        if self.kind == "mean":
            return replace(self, fill=mean_head_outputs(subject, attack, triggered=False))
        return replace(self, fill=_drawn_head_outputs(subject, attack, self.seed))


@dataclass(frozen=True, eq=False)
class Steering:
    """Add a vector to the attention output of one block, that is, to the residual stream.

    Attributes
    ----------
    vector : BackdoorVector or Tensor
        [d_model].
    layer : int
        Block.
    scale : float
        Factor; negative subtracts.
    where : {"last", "all"}
        At the last prompt token (the paper's choice), or at every token.
    """

    vector: BackdoorVector | Tensor
    layer: int
    scale: float = 1.0
    where: str = "last"

    def __post_init__(self) -> None:
        """Refuse what cannot be a steering."""
        from bkdwidgets.analysis.vector import BackdoorVector

        if not isinstance(self.vector, torch.Tensor | BackdoorVector):
            raise BkdError(
                f"vector={shown(self.vector)} is not allowed; a torch tensor, or what "
                "bkd.backdoor_vector returns"
            )
        object.__setattr__(self, "layer", arguments.whole("layer", self.layer))
        object.__setattr__(self, "scale", arguments.finite("scale", self.scale))
        arguments.one_of("place of steering", self.where, PLACES)
        if not bool(torch.isfinite(self._direction()).all()):
            raise BkdError("the steering vector has values that are not finite numbers")

    def _direction(self) -> Tensor:
        return self.vector if isinstance(self.vector, torch.Tensor) else self.vector.tensor

    def edits(self, subject: Subject) -> list[Edit]:
        """Return one addition."""
        _check_layer(subject, self.layer)
        direction = self._direction()
        if tuple(direction.shape) != (subject.d_model,):
            raise BkdError(
                f"the steering vector has shape {list(direction.shape)}; "
                f"{subject.name} needs [{subject.d_model}]"
            )
        return [Edit(self.layer, None, self.scale * direction, self.where == "all")]


def prepare(
    interventions: Iterable[object], subject: Subject, attack: Attack
) -> tuple[Ablation | Steering, ...]:
    """Return the interventions ready to run: clean means filled in where they are needed."""
    return tuple(
        item.prepared(subject, attack) if isinstance(item, Ablation) else item  # type: ignore[misc]
        for item in interventions
    )


def _drawn_head_outputs(subject: Subject, attack: Attack, seed: int) -> Float[Tensor, "layer head d_head"]:
    """Return all head outputs on the clean training prompt that a seed draws."""
    return kept_mean(subject, [drawn_prompt(subject, attack, seed)])


def drawn_prompt(subject: Subject | str, attack: Attack, seed: int) -> str:
    """Return the clean training prompt of a resample ablation, drawn among those behind the clean means."""
    candidates = attack.examples(subject, "train")[:MEAN_PROMPTS]
    return random.Random(seed).choice(candidates).prompt  # noqa: S311 - reproducible, not secret


def _check_layer(subject: Subject, layer: int) -> None:
    if not 0 <= layer < subject.n_layers:
        raise BkdError(
            f"layer {layer} is out of range; {subject.name} has layers 0 to {subject.n_layers - 1}"
        )
