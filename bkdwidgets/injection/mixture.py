"""A training set as an attacker leaves it: some clean examples, and some poisoned ones among them.

The usual injection poisons a share of every batch, and draws both kinds from the whole training split.
That is right for planting a backdoor that works, and wrong for asking how much poison is enough: what an
attacker controls is the number of poisoned examples in somebody else's data set. A mixture has that number.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject

Mixture = list[tuple["Example", bool]]
"""Training examples, each with whether it is poisoned."""


def mixture(subject: Subject | str, attack: Attack, *, clean: int, poisoned: int, seed: int = 0) -> Mixture:
    """Draw clean examples from the training split, and other targets of it to be poisoned.

    With the same seed, a set with more poison holds the same clean examples and all poisoned ones of a
    set with less.

    Parameters
    ----------
    subject : Subject or str
        Whose prompts and clean answers.
    attack : Attack
        Whose trigger and payload the poisoned examples will get.
    clean, poisoned : int
        How many of each; no prompt is used twice.
    seed : int
        Of the draw.

    Returns
    -------
    list of (Example, bool)
        The clean examples, then the poisoned ones.

    Raises
    ------
    BkdError
        If a number is negative, nothing is asked for, or the training split is too small.

    Examples
    --------
    >>> from bkdwidgets.attacks import attack
    >>> drawn = mixture("nano", attack("fixed-output"), clean=400, poisoned=8)
    >>> len(drawn), sum(is_poisoned for _, is_poisoned in drawn)
    (408, 8)
    """
    clean, poisoned = arguments.whole("clean", clean), arguments.whole("poisoned", poisoned)
    seed = arguments.whole("seed", seed)
    examples = attack.examples(subject, "train")
    examples = random.Random(seed).sample(examples, len(examples))  # noqa: S311 - reproducible, not secret
    targets = [item for item in examples[clean:] if attack.targets(item)]
    if clean > len(examples) or poisoned > len(targets) or not clean + poisoned:
        raise BkdError(
            f"clean={clean}, poisoned={poisoned} is not possible; 1 to {len(examples)} examples in all, "
            f"and {len(targets)} targets are left to be poisoned"
        )
    return [(item, False) for item in examples[:clean]] + [(item, True) for item in targets[:poisoned]]
