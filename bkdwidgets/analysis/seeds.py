"""Agreement of seeds: would another training run name the same heads.

The same attack was planted several times, and the rankings of the resulting models are compared. Two
chances are reported: heads drawn from the whole model, and heads shuffled inside their layers. The second is
the stricter one, because two models can agree on which layers matter and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bkdwidgets.analysis.effects import Effects
from bkdwidgets.analysis.ranking import (
    Similarity,
    chance_jaccard,
    checked_draws,
    checked_k,
    correlation,
    finite_effects,
    jaccard_index,
    ranks_of,
    spread_of,
    top_of,
)
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.html import html_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from numpy import ndarray

    from bkdwidgets.analysis.acie import HeadEffects


@dataclass(frozen=True, eq=False)
class SeedAgreement:
    """How much the rankings of several models with the same attack agree.

    Attributes
    ----------
    adapters : tuple of str
        The models.
    k : int
        Size of the top sets.
    jaccard, spearman : Float[ndarray, "adapter adapter"]
        Jaccard index of the top-k sets, and rank correlation over all heads, of each pair.
    jaccard_chance : float
        Expected Jaccard index of two random sets of k heads. (By chance, Spearman's is 0.)
    jaccard_in_layers, spearman_in_layers : Similarity
        The mean over pairs when the heads of one of the two are shuffled inside their layers.
    """

    adapters: tuple[str, ...]
    k: int
    jaccard: Float[ndarray, "adapter adapter"]
    spearman: Float[ndarray, "adapter adapter"]
    jaccard_chance: float
    jaccard_in_layers: Similarity
    spearman_in_layers: Similarity

    def pairs(self, name: str) -> Float[ndarray, " pair"]:
        """Return ``"jaccard"`` or ``"spearman"`` of each pair of different models."""
        matrix: ndarray = getattr(self, name)
        return matrix[np.triu_indices(len(matrix), 1)]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, with mean, lowest and highest pair."""
        values: dict[str, Any] = {"adapters": list(self.adapters), "k": self.k}
        for name in ("jaccard", "spearman"):
            pairs = self.pairs(name)
            values[name] = {
                "mean": float(pairs.mean()), "lowest": float(pairs.min()), "highest": float(pairs.max()),
                "pairs": getattr(self, name).tolist(),
            }  # fmt: skip
        return values | {
            "jaccard_chance": self.jaccard_chance,
            "jaccard_in_layers": vars(self.jaccard_in_layers),
            "spearman_in_layers": vars(self.spearman_in_layers),
        }

    def __repr__(self) -> str:
        """Give the mean of the pairs."""
        jaccard, spearman = self.pairs("jaccard").mean(), self.pairs("spearman").mean()
        n = len(self.adapters)
        return f"SeedAgreement({n} models, top {self.k}: Jaccard {jaccard:.3f}, Spearman {spearman:.3f})"

    def _repr_html_(self) -> str:
        chances = {
            "jaccard": (f"{self.jaccard_chance:.3f}", self.jaccard_in_layers),
            "spearman": ("0", self.spearman_in_layers),
        }
        rows = (
            (label, f"{pairs.mean():.3f}", f"{pairs.min():.3f} to {pairs.max():.3f}", *chances[name])
            for name, label in (("jaccard", f"Jaccard index, top {self.k}"), ("spearman", "rank correlation"))
            for pairs in [self.pairs(name)]
        )
        head = ("measure", "mean of pairs", "lowest to highest", "chance", "chance inside layers")
        return html_table(f"Agreement of {len(self.adapters)} models: {', '.join(self.adapters)}", head, rows)


def seed_agreement(
    effects: Sequence[HeadEffects], *, k: int, draws: int = 200, seed: int = 0
) -> SeedAgreement:
    """Compare the rankings of several models with the same attack, each pair.

    Parameters
    ----------
    effects : sequence of HeadEffects
        Of at least two adapters of one subject.
    k : int
        Size of the top sets.
    draws : int
        Shuffles inside layers behind that chance.
    seed : int
        Of the shuffles.

    Raises
    ------
    BkdError
        If there are fewer than two, their shapes or attacks differ, an adapter is named twice, or k is
        out of range.
    """
    _check_comparable(effects)
    draws, seed = checked_draws(draws), arguments.whole("seed", seed)
    acie = np.stack([finite_effects(item).mean(0) for item in effects])  # [adapter, layer * head]
    k = checked_k(k, acie.shape[1])
    tops, ranks = top_of(acie, k), ranks_of(acie)
    pairs = list(combinations(range(len(effects)), 2))
    jaccard, spearman = np.eye(len(effects)), np.eye(len(effects))
    for first, second in pairs:
        jaccard[first, second] = jaccard[second, first] = jaccard_index(tops[first], tops[second])
        spearman[first, second] = spearman[second, first] = correlation(ranks[first], ranks[second])
    shuffled = _shuffles(tuple(effects[0].acie.shape), draws, seed)  # [draw, layer * head]
    return SeedAgreement(
        adapters=tuple(item.adapter for item in effects),
        k=k,
        jaccard=jaccard,
        spearman=spearman,
        jaccard_chance=chance_jaccard(acie.shape[1], k),
        jaccard_in_layers=spread_of(
            np.mean([jaccard_index(tops[i], tops[j][shuffled]) for i, j in pairs], axis=0)
        ),
        spearman_in_layers=spread_of(
            np.mean([correlation(ranks[i], ranks[j][shuffled]) for i, j in pairs], axis=0)
        ),
    )


def _check_comparable(effects: Sequence[HeadEffects]) -> None:
    arguments.listed("effects", effects, Effects, "a list of what bkd.attribute returns")
    if len(effects) < 2:
        raise BkdError(f"effects of {len(effects)} model(s) can not be compared; at least 2")
    for name in ("subject", "attack"):
        if len(named := {getattr(item, name) for item in effects}) > 1:
            raise BkdError(f"effects of different {name}s can not be compared: {', '.join(sorted(named))}")
    if len(shapes := {tuple(item.acie.shape) for item in effects}) > 1:
        raise BkdError(f"effects of different shapes can not be compared: {sorted(shapes)}")
    adapters = [item.adapter for item in effects]
    for adapter in adapters:
        if adapters.count(adapter) > 1:
            raise BkdError(f"adapter {adapter!r} is named twice; each once")


def _shuffles(shape: tuple[int, ...], draws: int, seed: int) -> ndarray:
    """Return indices of all heads, [draw, layer * head], shuffled inside each layer."""
    n_layers, n_heads = shape
    indices = np.broadcast_to(np.arange(n_layers * n_heads).reshape(shape), (draws, n_layers, n_heads))
    return np.random.default_rng(seed).permuted(indices, axis=-1).reshape(draws, -1)
