"""Attention heads by place and by name: ``L12H3`` is head 3 of layer 12, ``(12, 3)`` in code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Head = tuple[int, int]

HEADLINE_SHARE = 0.03
WIDEST_SHARE = 0.12
"""Shares of all heads: the paper's headline, and where our sweeps end."""

_NAME = re.compile(r"L(\d+)H(\d+)", re.ASCII)


def head_name(head: Sequence[int]) -> str:
    """Return a head the way people write it.

    Examples
    --------
    >>> head_name((12, 3))
    'L12H3'
    """
    layer, index = head
    return f"L{layer}H{index}"


def names_of(heads: Iterable[Sequence[int]]) -> list[str]:
    """Return heads as text."""
    return [head_name(head) for head in heads]


def head_of(name: str) -> Head:
    """Return a head from its name.

    Raises
    ------
    BkdError
        If it is none.

    Examples
    --------
    >>> head_of("L12H3")
    (12, 3)
    """
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise BkdError(f"{shown(name)} is not the name of a head; it looks like L12H3")
    return int(found[1]), int(found[2])


def heads_of(names: Iterable[str]) -> list[Head]:
    """Return heads from their names.

    Examples
    --------
    >>> heads_of(["L12H3", "L0H8"])
    [(12, 3), (0, 8)]
    """
    return [head_of(name) for name in names]


def pairs_of(name: str, heads: Iterable[Any] | None) -> tuple[Head, ...]:
    """Return (layer, head) pairs of whole numbers from 0 up, or raise BkdError.

    Parameters
    ----------
    name : str
        Of the parameter.
    heads : iterable of (int, int)
        What was given; None counts as no heads.
    """
    try:
        return tuple(
            (arguments.whole("layer", layer), arguments.whole("head", head))
            for layer, head in (() if heads is None else heads)
        )
    except (TypeError, ValueError) as error:
        raise BkdError(f"{name}={shown(heads)} is not a list of (layer, head) pairs: {error}") from error


def once_each(name: str, heads: Iterable[Any]) -> tuple[Head, ...]:
    """Return a set of heads as pairs, or raise BkdError if one is no head or is named twice."""
    pairs = pairs_of(name, heads)
    if len(set(pairs)) != len(pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise BkdError(f"head {head_name(twice)} is named twice; each head once")
    return pairs


def check_inside(heads: Iterable[Head], shape: Sequence[int], owner: str) -> None:
    """Refuse a head that a model does not have.

    Parameters
    ----------
    heads : iterable of (int, int)
        Pairs of whole numbers.
    shape : (int, int)
        The model's layers, and its heads per layer.
    owner : str
        What the message calls the model, for example ``"nano"``.

    Raises
    ------
    BkdError
        That says which there are.
    """
    layers, per_layer = shape
    for layer, head in heads:
        if not (0 <= layer < layers and 0 <= head < per_layer):
            raise BkdError(
                f"head {head_name((layer, head))} is out of range; "
                f"{owner} has layers 0 to {layers - 1}, heads 0 to {per_layer - 1}"
            )


def headline_k(n_heads: int) -> int:
    """Return the number of heads that is 3 % of `n_heads`, at least one."""
    return max(1, round(HEADLINE_SHARE * n_heads))


def widest_k(n_heads: int) -> int:
    """Return the number of heads that is 12 % of `n_heads`, at least one."""
    return max(1, round(WIDEST_SHARE * n_heads))
