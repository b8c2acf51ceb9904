"""Stability of a ranking: would other prompts name the same heads.

A top-k list always has k names, also where the effects behind them are noise. So the prompts are drawn
again, with replacement (bootstrap), and the heads ranked anew on each draw. The overlap of two draws means
little without what chance gives, so that is reported beside it. Whether other training runs agree is asked
in :mod:`bkdwidgets.analysis.seeds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bkdwidgets.analysis.ranking import (
    Similarity,
    chance_jaccard,
    checked_draws,
    checked_k,
    jaccard_index,
    per_prompt_effects,
    resampled_means,
    spread_of,
    top_of,
)
from bkdwidgets.core import arguments
from bkdwidgets.core.heads import head_name
from bkdwidgets.core.html import html_table

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray

    from bkdwidgets.analysis.acie import HeadEffects


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
        rows = [(head_name(head), f"{self.share[head]:.3f}") for head in heads if self.share[head] > 0]
        caption = (
            f"Share of draws over {self.n} prompts with the head among the top {self.k}; "
            f"Jaccard index of two draws {self.jaccard}, by chance {self.chance:.3f}"
        )
        return html_table(caption, ("head", "share"), rows)


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
    values = per_prompt_effects(effects)
    k = checked_k(k, values.shape[1])
    draws, seed = checked_draws(draws), arguments.whole("seed", seed)
    chosen = top_of(resampled_means(values, draws, seed), k)
    half = draws // 2
    overlaps = jaccard_index(chosen[:half], chosen[half : 2 * half])
    return TopStability(
        k=k,
        share=chosen.mean(0).reshape(tuple(effects.acie.shape)),
        jaccard=spread_of(overlaps),
        chance=chance_jaccard(values.shape[1], k),
        n=len(values),
    )
