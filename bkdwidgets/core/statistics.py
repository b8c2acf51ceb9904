"""Rates and means with their 95 % interval.

For rates, the Wilson score interval is used because it behaves near 0 and 1, where most of our rates lie; the
textbook interval would call 0 of 50 "exactly zero". For means of anything else, the percentile bootstrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_Z95 = 1.959963984540054
_RESAMPLES = 4000


@dataclass(frozen=True)
class Rate:
    """A share of n trials with its 95 % Wilson interval.

    Attributes
    ----------
    value : float
        Observed share, 0 to 1.
    low, high : float
        Ends of the interval.
    n : int
        Trials.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Write it as a person would: 0.98 [0.95, 0.99], n = 200."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


def wilson(successes: int, n: int) -> Rate:
    """Return the share of successes with its 95 % Wilson score interval.

    Parameters
    ----------
    successes, n : int
        ``0 <= successes <= n`` and ``n >= 1``.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Examples
    --------
    >>> print(wilson(0, 50))
    0.000 [0.000, 0.071], n = 50
    """
    if n < 1 or not 0 <= successes <= n:
        raise BkdError(f"{successes} successes of n={n} is not allowed; n >= 1 and 0 <= successes <= n")
    share, z2 = successes / n, _Z95**2
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return Rate(value=share, low=low, high=high, n=n)


def rate_of(flags: Iterable[bool]) -> Rate:
    """Return the share of true values with its interval."""
    values = list(flags)
    return wilson(sum(values), len(values))


@dataclass(frozen=True)
class Mean:
    """A mean of n values with its 95 % bootstrap interval.

    Attributes
    ----------
    value : float
        The mean, in the unit of the values.
    low, high : float
        Ends of the interval.
    n : int
        Values.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Write it as a person would: 0.41 [0.38, 0.45], n = 200."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


def bootstrap_mean(values: Sequence[float], *, seed: int = 0) -> Mean:
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
    low, high = np.quantile(sample[drawn].mean(axis=1), (0.025, 0.975))
    return Mean(value=float(sample.mean()), low=float(low), high=float(high), n=sample.size)
