"""Estimates with their 95 % interval: shares by Wilson, means by bootstrap.

For rates, the Wilson score interval is used because it behaves near 0 and 1, where most of our rates lie; the
textbook interval would call 0 of 50 "exactly zero". For means of anything else, the percentile bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

_Z95 = 1.959963984540054
_RESAMPLES = 4000
_INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Estimate:
    """A share of n trials, or a mean of n values, with its 95 % interval.

    Attributes
    ----------
    value : float
        Observed share, 0 to 1; or the mean, in the unit of the values.
    low, high : float
        Ends of the interval: Wilson's for a share, the bootstrap's for a mean.
    n : int
        Trials or values.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Write it as a person would: 0.98 [0.95, 0.99], n = 200."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


def wilson_ends(share: ArrayLike, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % Wilson score intervals of shares of n.

    Parameters
    ----------
    share : array_like
        Shares, each 0 to 1.
    n : int
        Trials behind each.

    Returns
    -------
    low, high : ndarray
        Of the shape of `share`.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    source: Any = share
    p, z2 = np.asarray(source, dtype=np.float64), _Z95**2
    center = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return np.where(p <= 0, 0.0, center - half).clip(0), np.where(p >= 1, 1.0, center + half).clip(None, 1)


def wilson(successes: int, n: int) -> Estimate:
    """Return the share of successes with its 95 % Wilson score interval (:func:`wilson_ends`).

    Parameters
    ----------
    successes, n : int
        ``0 <= successes <= n`` and ``n >= 1``.

    Examples
    --------
    >>> print(wilson(0, 50))
    0.000 [0.000, 0.071], n = 50
    """
    if n < 1 or not 0 <= successes <= n:
        raise BkdError(f"{successes} successes of n={n} is not allowed; n >= 1 and 0 <= successes <= n")
    low, high = wilson_ends(successes / n, n)
    return Estimate(value=successes / n, low=float(low), high=float(high), n=n)


def rate_of(flags: Iterable[bool]) -> Estimate:
    """Return the share of true values with its interval."""
    values = list(flags)
    return wilson(sum(values), len(values))


def bootstrap_mean(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """Return the mean with its 95 % percentile bootstrap interval over 4,000 resamples.

    Parameters
    ----------
    values : sequence of float
        At least one, all finite.
    seed : int
        Of the resamples.

    Raises
    ------
    BkdError
        If there is no value, or one that is not a finite number.

    References
    ----------
    B. Efron, "Bootstrap methods: another look at the jackknife", 1979.

    Examples
    --------
    >>> print(bootstrap_mean([1.0, 1.0, 1.0]))
    1.000 [1.000, 1.000], n = 3
    """
    sample = np.asarray(values, dtype=float)
    if sample.size == 0 or not np.isfinite(sample).all():
        raise BkdError(f"cannot average {len(sample)} values; at least one, all of them finite numbers")
    drawn = np.random.default_rng(seed).integers(sample.size, size=(_RESAMPLES, sample.size))
    low, high = percentiles(sample[drawn].mean(axis=1))
    return Estimate(value=float(sample.mean()), low=float(low), high=float(high), n=sample.size)


def bootstrap_counts(n: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Return how often each of n items is drawn, [draw, item], when n are drawn again with replacement.

    ``bootstrap_counts(n, draws, seed) @ values / n`` are the means of the draws; where several things were
    measured on the same items, the same counts serve all of them.
    """
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)


def percentiles(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return both ends of the 95 % percentile interval over the first axis of draws."""
    ends: NDArray[np.float64] = np.quantile(drawn, _INTERVAL, axis=0)
    return ends
