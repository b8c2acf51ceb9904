"""Comparing rankings of heads: Jaccard index of top sets, Spearman's rank correlation, what chance gives.

Two sets are compared by their Jaccard index, ``|A and B| / |A or B|``; two whole rankings by Spearman's
rank correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import hypergeom, rankdata  # type: ignore[import-untyped]

from bkdwidgets.analysis.effects import Effects
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.core.statistics import bootstrap_counts, percentiles

if TYPE_CHECKING:
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
    k = checked_k(k, n_heads)
    shared = np.arange(k + 1)
    return float((hypergeom.pmf(shared, n_heads, k, k) * shared / (2 * k - shared)).sum())


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
        check_effects(name, item)
    draws, seed = checked_draws(draws), arguments.whole("seed", seed)
    for name in ("subject", "adapter", "attack", "split"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise BkdError(f"{name} {one!r} and {other!r} differ; ranks are compared on the same prompts")
    if first.per_prompt.shape != second.per_prompt.shape:
        shapes = f"{list(first.per_prompt.shape)} and {list(second.per_prompt.shape)}"
        raise BkdError(f"effects of shape {shapes} can not be compared; the same prompts and heads for both")
    one, other = per_prompt_effects(first), per_prompt_effects(second)
    drawn = correlation(
        ranks_of(resampled_means(one, draws, seed)), ranks_of(resampled_means(other, draws, seed))
    )
    low, high = percentiles(drawn)
    value = float(correlation(ranks_of(one.mean(0)), ranks_of(other.mean(0))))
    return Similarity(value=value, low=float(low), high=float(high), draws=draws)


def check_effects(name: str, effects: object) -> None:
    """Refuse what is no result of an attribution."""
    if not isinstance(effects, Effects):
        raise BkdError(f"{name}={shown(effects)} is not allowed; what bkd.attribute returns")


def finite_effects(effects: HeadEffects) -> Float[ndarray, "prompt heads"]:
    """Return the effects per prompt, or raise BkdError if one is not a finite number."""
    check_effects("effects", effects)
    values: ndarray = effects.per_prompt.flatten(1).double().numpy()
    if not np.isfinite(values).all():
        raise BkdError(f"effects of {effects.adapter!r} have values that are not finite numbers")
    return values


def per_prompt_effects(effects: HeadEffects) -> Float[ndarray, "prompt heads"]:
    """Return the effects of at least two prompts."""
    values = finite_effects(effects)
    if len(values) < 2:
        raise BkdError(f"effects of {effects.adapter!r} come from {len(values)} prompt; at least 2 to redraw")
    return values


def checked_k(k: int, n_heads: int) -> int:
    """Return a size of a set of heads that the model has."""
    k = arguments.whole("k", k)
    if not 1 <= k <= n_heads:
        raise BkdError(f"k={k} is out of range; 1 to {n_heads} heads")
    return k


def checked_draws(draws: int) -> int:
    """Return a number of draws that makes an interval."""
    return arguments.whole("draws", draws, least=2)


def resampled_means(
    values: Float[ndarray, "prompt heads"], draws: int, seed: int
) -> Float[ndarray, "draw heads"]:
    """Return each head's mean over prompts that were drawn again."""
    n = len(values)
    return bootstrap_counts(n, draws, seed) @ values / n


def top_of(values: Float[ndarray, "draw heads"], k: int) -> Bool[ndarray, "draw heads"]:
    """Return which heads are among the k strongest of each draw; of equals the first."""
    order = np.argsort(-values, axis=-1, kind="stable")[..., :k]
    chosen = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(chosen, order, values=True, axis=-1)
    return chosen


def jaccard_index(first: ndarray, second: ndarray) -> ndarray:
    """Return the Jaccard index along the last axis."""
    return (first & second).sum(-1) / (first | second).sum(-1)


def ranks_of(values: Float[ndarray, "... heads"]) -> Float[ndarray, "... heads"]:
    """Return the ranks along the last axis; equals share theirs."""
    ranks: ndarray = rankdata(values, axis=-1)
    if (np.ptp(ranks, axis=-1) == 0).any():
        raise BkdError("all heads have the same effect; there is nothing to rank")
    return ranks


def correlation(first: ndarray, second: ndarray) -> ndarray:
    """Pearson's correlation along the last axis; of ranks, it is Spearman's."""
    first, second = (item - item.mean(-1, keepdims=True) for item in (first, second))
    return (first * second).sum(-1) / np.sqrt((first**2).sum(-1) * (second**2).sum(-1))


def spread_of(values: ndarray) -> Similarity:
    """Return the mean of draws and the ends of their middle 95 %."""
    low, high = percentiles(values)
    return Similarity(value=float(values.mean()), low=float(low), high=float(high), draws=len(values))
