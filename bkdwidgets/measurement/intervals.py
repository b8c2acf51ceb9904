"""Rates with their 95 % interval.

The Wilson score interval is used because it behaves near 0 and 1, where most of our rates lie; the
textbook interval would call 0 of 50 "exactly zero".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bkdwidgets.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterable

_Z95 = 1.959963984540054


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
