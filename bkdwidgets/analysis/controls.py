"""Controls for a set of heads: other heads of the same layers, so that only the choice differs."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.core.heads import Head


def random_heads(heads: Sequence[Head], n_heads: int, *, seed: int) -> list[Head]:
    """Draw as many heads as given, layer by layer, preferring heads that were not given.

    Parameters
    ----------
    heads : sequence of (int, int)
        The set to be matched.
    n_heads : int
        Heads per layer.
    seed : int
        Seed of the draw.

    Returns
    -------
    list of (int, int)
        The same number of heads in every layer. Where a layer has too few other heads, some of the
        given ones are drawn again: with more than half of a layer's heads taken, the control is weak.
    """
    chooser = random.Random(seed)  # noqa: S311 - a control, not a secret
    drawn: list[Head] = []
    for layer, count in sorted(Counter(layer for layer, _ in heads).items()):
        others = [(layer, head) for head in range(n_heads) if (layer, head) not in heads]
        same = [head for head in heads if head[0] == layer]
        chooser.shuffle(others)
        chooser.shuffle(same)
        drawn += (others + same)[:count]
    return drawn
