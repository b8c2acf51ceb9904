"""Heads as text: ``L12H3`` is head 3 of layer 12."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Head = tuple[int, int]

HEADLINE_SHARE = 0.03
WIDEST_SHARE = 0.12
"""Shares of all heads: the paper's headline, and where our sweeps end."""


def names_of(heads: Iterable[Head]) -> list[str]:
    """Return heads as text."""
    return [f"L{layer}H{head}" for layer, head in heads]


def heads_of(names: Iterable[str]) -> list[Head]:
    """Return heads from their text.

    Examples
    --------
    >>> heads_of(["L12H3", "L0H8"])
    [(12, 3), (0, 8)]
    """
    pairs = (name.removeprefix("L").split("H") for name in names)
    return [(int(layer), int(head)) for layer, head in pairs]


def headline_k(n_heads: int) -> int:
    """Return the number of heads that is 3 % of `n_heads`, at least one."""
    return max(1, round(HEADLINE_SHARE * n_heads))


def widest_k(n_heads: int) -> int:
    """Return the number of heads that is 12 % of `n_heads`, at least one."""
    return max(1, round(WIDEST_SHARE * n_heads))
