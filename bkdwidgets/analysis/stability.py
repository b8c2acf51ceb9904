"""Stability of a ranking: would other prompts, or another training run, name the same heads.

A top-k list always has k names, also where the effects behind them are noise. Two questions decide what
it is worth. *Other prompts*: the prompts are drawn again, with replacement (bootstrap), and the heads
ranked anew on each draw. *Other seeds*: the same attack was planted several times, and the rankings of
the resulting models are compared.

Two sets are compared by their Jaccard index, ``|A and B| / |A or B|``; two whole rankings by Spearman's
rank correlation. Neither means much without what chance gives, and two chances are reported: heads drawn
from the whole model, and heads shuffled inside their layers. The second is the stricter one, because two
models can agree on which layers matter and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import hypergeom, rankdata  # type: ignore[import-untyped]

from bkdwidgets.analysis.effects import Effects
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.core.statistics import bootstrap_counts, percentiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from numpy import ndarray

    from bkdwidgets.analysis.acie import HeadEffects


@dataclass(frozen=True)
class Similarity:
    """A Jaccard index or a rank correlation with the middle 95 % of its draws.

    Attributes
    ----------
    value : float
        What was observed; the mean over the draws where there is no observation apart from them.
    low, high : float
        Ends of the interval that holds the middle 95 % of the draws.
    draws : int
        Draws behind the interval.
    """

    value: float
    low: float
    high: float
    draws: int

    def __str__(self) -> str:
        """Write it as a person would: 0.41 [0.38, 0.45]."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, eq=False)
class TopStability:
    """How firmly the prompts decide which heads are the top k.

    Attributes
    ----------
    k : int
        Size of the sets.
    share : Float[ndarray, "layer head"]
        Share of the bootstrap draws in which the head is among the top k, 0 to 1.
    jaccard : Similarity
        Jaccard index of the top-k sets of two independent draws: what a repetition with as many other
        prompts would share with this one, to be expected.
    chance : float
        Expected Jaccard index of two random sets of k heads.
    n : int
        Prompts.
    """

    k: int
    share: Float[ndarray, "layer head"]
    jaccard: Similarity
    chance: float
    n: int

    def firm(self, share: float = 0.95) -> list[tuple[int, int]]:
        """Return the heads that are among the top k in at least this share of the draws."""
        return [(int(layer), int(head)) for layer, head in np.argwhere(self.share >= share)]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "k": self.k, "n": self.n, "share": self.share.tolist(),
            "jaccard": vars(self.jaccard), "chance": self.chance,
        }  # fmt: skip

    def __repr__(self) -> str:
        """Give the overlap beside its chance."""
        return f"TopStability(k={self.k}, Jaccard {self.jaccard}, chance {self.chance:.3f}, {self.n} prompts)"

    def _repr_html_(self) -> str:
        order = np.argsort(-self.share, axis=None, kind="stable")[: 2 * self.k]
        heads = [divmod(int(index), self.share.shape[1]) for index in order]
        rows = "".join(
            f"<tr><td>L{layer}H{head}</td><td>{self.share[layer, head]:.3f}</td></tr>"
            for layer, head in heads
            if self.share[layer, head] > 0
        )
        return (
            f"<table><caption>Share of draws over {self.n} prompts with the head among the top {self.k}; "
            f"Jaccard index of two draws {self.jaccard}, by chance {self.chance:.3f}</caption>"
            f"<thead><tr><th>head</th><th>share</th></tr></thead><tbody>{rows}</tbody></table>"
        )


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
        rows = "".join(
            f"<tr><td>{label}</td><td>{pairs.mean():.3f}</td><td>{pairs.min():.3f} to {pairs.max():.3f}</td>"
            f"<td>{chances[name][0]}</td><td>{chances[name][1]}</td></tr>"
            for name, label in (("jaccard", f"Jaccard index, top {self.k}"), ("spearman", "rank correlation"))
            for pairs in [self.pairs(name)]
        )
        title = escape(", ".join(self.adapters))
        return (
            f"<table><caption>Agreement of {len(self.adapters)} models: {title}</caption><thead><tr>"
            "<th>measure</th><th>mean of pairs</th><th>lowest to highest</th><th>chance</th>"
            f"<th>chance inside layers</th></tr></thead><tbody>{rows}</tbody></table>"
        )


def top_stability(effects: HeadEffects, *, k: int, draws: int = 1000, seed: int = 0) -> TopStability:
    """Draw the prompts again and again, and see which heads stay among the top k.

    Parameters
    ----------
    effects : HeadEffects
        With at least two prompts.
    k : int
        Size of the top set.
    draws : int
        Bootstrap draws; half as many pairs of draws are compared.
    seed : int
        Of the draws.

    Raises
    ------
    BkdError
        If k or the number of draws is out of range, or there is only one prompt.

    References
    ----------
    B. Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    values = _per_prompt(effects)
    k = _checked_k(k, values.shape[1])
    draws, seed = _checked_draws(draws), arguments.whole("seed", seed)
    chosen = _top(_resampled_means(values, draws, seed), k)
    half = draws // 2
    overlaps = _jaccard(chosen[:half], chosen[half : 2 * half])
    return TopStability(
        k=k,
        share=chosen.mean(0).reshape(tuple(effects.acie.shape)),
        jaccard=_spread(overlaps),
        chance=chance_jaccard(values.shape[1], k),
        n=len(values),
    )


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
    draws, seed = _checked_draws(draws), arguments.whole("seed", seed)
    acie = np.stack([_finite(item).mean(0) for item in effects])  # [adapter, layer * head]
    k = _checked_k(k, acie.shape[1])
    tops, ranks = _top(acie, k), _ranks(acie)
    pairs = list(combinations(range(len(effects)), 2))
    jaccard, spearman = np.eye(len(effects)), np.eye(len(effects))
    for first, second in pairs:
        jaccard[first, second] = jaccard[second, first] = _jaccard(tops[first], tops[second])
        spearman[first, second] = spearman[second, first] = _correlation(ranks[first], ranks[second])
    shuffled = _shuffles(tuple(effects[0].acie.shape), draws, seed)  # [draw, layer * head]
    return SeedAgreement(
        adapters=tuple(item.adapter for item in effects),
        k=k,
        jaccard=jaccard,
        spearman=spearman,
        jaccard_chance=chance_jaccard(acie.shape[1], k),
        jaccard_in_layers=_spread(np.mean([_jaccard(tops[i], tops[j][shuffled]) for i, j in pairs], axis=0)),
        spearman_in_layers=_spread(
            np.mean([_correlation(ranks[i], ranks[j][shuffled]) for i, j in pairs], axis=0)
        ),
    )


def rank_correlation(
    first: HeadEffects, second: HeadEffects, *, draws: int = 1000, seed: int = 0
) -> Similarity:
    """Return Spearman's correlation between two measurements of the same heads on the same prompts.

    Parameters
    ----------
    first, second : HeadEffects
        For example a gradient screen and the exact effects.
    draws : int
        Bootstrap draws over prompts, the same prompts for both.
    seed : int
        Of the draws.

    Raises
    ------
    BkdError
        If the two were not measured on the same prompts of the same subject, or on one prompt only.
    """
    for name, item in (("first", first), ("second", second)):
        _check_effects(name, item)
    draws, seed = _checked_draws(draws), arguments.whole("seed", seed)
    for name in ("subject", "adapter", "attack", "split"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise BkdError(f"{name} {one!r} and {other!r} differ; ranks are compared on the same prompts")
    if first.per_prompt.shape != second.per_prompt.shape:
        shapes = f"{list(first.per_prompt.shape)} and {list(second.per_prompt.shape)}"
        raise BkdError(f"effects of shape {shapes} can not be compared; the same prompts and heads for both")
    one, other = _per_prompt(first), _per_prompt(second)
    drawn = _correlation(
        _ranks(_resampled_means(one, draws, seed)), _ranks(_resampled_means(other, draws, seed))
    )
    low, high = percentiles(drawn)
    value = float(_correlation(_ranks(one.mean(0)), _ranks(other.mean(0))))
    return Similarity(value=value, low=float(low), high=float(high), draws=draws)


def chance_jaccard(n_heads: int, k: int) -> float:
    """Return the expected Jaccard index of two random sets of k out of n heads.

    The overlap of two such sets follows the hypergeometric distribution.

    Examples
    --------
    >>> chance_jaccard(4, 4)
    1.0
    >>> round(chance_jaccard(270, 8), 3)
    0.016
    """
    k = _checked_k(k, n_heads)
    shared = np.arange(k + 1)
    return float((hypergeom.pmf(shared, n_heads, k, k) * shared / (2 * k - shared)).sum())


def _check_effects(name: str, effects: object) -> None:
    if not isinstance(effects, Effects):
        raise BkdError(f"{name}={shown(effects)} is not allowed; what bkd.attribute returns")


def _finite(effects: HeadEffects) -> Float[ndarray, "prompt heads"]:
    _check_effects("effects", effects)
    values: ndarray = effects.per_prompt.flatten(1).double().numpy()
    if not np.isfinite(values).all():
        raise BkdError(f"effects of {effects.adapter!r} have values that are not finite numbers")
    return values


def _per_prompt(effects: HeadEffects) -> Float[ndarray, "prompt heads"]:
    values = _finite(effects)
    if len(values) < 2:
        raise BkdError(f"effects of {effects.adapter!r} come from {len(values)} prompt; at least 2 to redraw")
    return values


def _checked_k(k: int, n_heads: int) -> int:
    k = arguments.whole("k", k)
    if not 1 <= k <= n_heads:
        raise BkdError(f"k={k} is out of range; 1 to {n_heads} heads")
    return k


def _checked_draws(draws: int) -> int:
    return arguments.whole("draws", draws, least=2)


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


def _resampled_means(
    values: Float[ndarray, "prompt heads"], draws: int, seed: int
) -> Float[ndarray, "draw heads"]:
    n = len(values)
    return bootstrap_counts(n, draws, seed) @ values / n


def _top(values: Float[ndarray, "draw heads"], k: int) -> Bool[ndarray, "draw heads"]:
    order = np.argsort(-values, axis=-1, kind="stable")[..., :k]
    chosen = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(chosen, order, values=True, axis=-1)
    return chosen


def _jaccard(first: ndarray, second: ndarray) -> ndarray:
    return (first & second).sum(-1) / (first | second).sum(-1)


def _ranks(values: Float[ndarray, "... heads"]) -> Float[ndarray, "... heads"]:
    ranks: ndarray = rankdata(values, axis=-1)
    if (np.ptp(ranks, axis=-1) == 0).any():
        raise BkdError("all heads have the same effect; there is nothing to rank")
    return ranks


def _correlation(first: ndarray, second: ndarray) -> ndarray:
    """Pearson's correlation along the last axis; of ranks, it is Spearman's."""
    first, second = (item - item.mean(-1, keepdims=True) for item in (first, second))
    return (first * second).sum(-1) / np.sqrt((first**2).sum(-1) * (second**2).sum(-1))


def _shuffles(shape: tuple[int, ...], draws: int, seed: int) -> ndarray:
    """Return indices of all heads, [draw, layer * head], shuffled inside each layer."""
    n_layers, n_heads = shape
    indices = np.broadcast_to(np.arange(n_layers * n_heads).reshape(shape), (draws, n_layers, n_heads))
    return np.random.default_rng(seed).permuted(indices, axis=-1).reshape(draws, -1)


def _spread(values: ndarray) -> Similarity:
    low, high = percentiles(values)
    return Similarity(value=float(values.mean()), low=float(low), high=float(high), draws=len(values))
