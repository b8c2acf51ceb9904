"""How alike two prompts are: shared words, and shared runs of five characters."""

import re
from collections.abc import Iterable

import numpy as np

# Two prompts of different splits may share less than half of their words and of their character runs.
TOO_ALIKE = 0.5


def plain(text: str) -> str:
    """Lower the case, drop the punctuation and make every gap a single space."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def words(text: str) -> set[str]:
    """Return the set of words of a text."""
    return set(plain(text).split())


def five_grams(text: str) -> set[str]:
    """Return every run of five characters, with a space before the first and after the last word."""
    padded = f" {plain(text)} "
    return {padded[i : i + 5] for i in range(len(padded) - 4)}


def jaccard(left: Iterable[set[str]], right: Iterable[set[str]]) -> np.ndarray:
    """Compare every set on the left with every set on the right: shared parts over all parts.

    The sets become rows of zeros and ones, so that one matrix product counts all the shared parts at once.
    """
    left, right = list(left), list(right)
    column = {part: i for i, part in enumerate(sorted(set().union(*left, *right)))}

    def rows(sets: list[set[str]]) -> np.ndarray:
        table = np.zeros((len(sets), len(column)), dtype=np.float32)
        for i, parts in enumerate(sets):
            table[i, [column[part] for part in parts]] = 1
        return table

    a, b = rows(left), rows(right)
    shared = a @ b.T
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - shared
    likeness: np.ndarray = shared / np.maximum(either, 1)
    return likeness


def too_alike(left: list[str], right: list[str]) -> list[tuple[str, str, float]]:
    """List the pairs (one from each side) whose words or character runs overlap too much."""
    likeness = np.maximum(
        jaccard(map(words, left), map(words, right)),
        jaccard(map(five_grams, left), map(five_grams, right)),
    )
    return [(left[i], right[j], float(likeness[i, j])) for i, j in np.argwhere(likeness >= TOO_ALIKE)]
