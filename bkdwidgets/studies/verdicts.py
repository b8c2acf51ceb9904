"""How a claim is judged: the rules, written down once, applied to every claim alike.

A claim has a value, a control, and a direction. The rules are

**reaches**: the value is to reach a threshold, and to differ from its control.
    *holds*: the value reaches the threshold, and it is apart from the control: their intervals do not
    overlap, in the claimed direction. *holds partly*: it reaches the threshold but so may the control; or
    it is apart, and at least half of the way from the control to the threshold. *does not hold*: anything
    else.

**exceeds**: the value is to be above its control.
    *holds*: they are apart. *does not hold*: they are not.

**keeps**: the value is to be as good as its control.
    *holds*: at most 0.05 worse. *holds partly*: at most 0.15 worse. *does not hold*: worse than that.

An interval is a rate's 95 % interval; for a random control, the range of its draws. *not measured* means
that the ledger has no such entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HOLDS, PARTLY, FAILS, UNKNOWN = "holds", "holds partly", "does not hold", "not measured"
KEEPS, KEEPS_PARTLY = 0.05, 0.15

Value = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """A claim, judged.

    Attributes
    ----------
    claim : str
        One sentence.
    source : str
        Who says so.
    ours, control : dict or None
        Value with ``low``, ``high`` and ``n``, and ``what`` it is.
    verdict : str
        ``"holds"``, ``"holds partly"``, ``"does not hold"`` or ``"not measured"``.
    rule : str
        The rule that was applied, in words.
    """

    claim: str
    source: str
    ours: Value | None
    control: Value | None
    verdict: str
    rule: str


def reaches(
    ours: Value, control: Value, *, at_least: float | None = None, at_most: float | None = None
) -> tuple[str, str]:
    """Judge by threshold and control; return the verdict and the rule in words.

    Give `at_least` for a value that is to be large, `at_most` for one that is to be small.

    Examples
    --------
    >>> high, low = {"value": 1.0, "low": 0.9, "high": 1.0}, {"value": 0.0, "low": 0.0, "high": 0.1}
    >>> reaches(high, low, at_least=0.9)
    ('holds', 'at least 0.9, and above the control')
    >>> reaches(high, high, at_least=0.9)[0]
    'holds partly'
    """
    if at_least is not None:
        reached, apart, threshold = ours["value"] >= at_least, _is_above(ours, control), at_least
        rule = f"at least {threshold:g}, and above the control"
    else:
        assert at_most is not None
        reached, apart, threshold = ours["value"] <= at_most, _is_above(control, ours), at_most
        rule = f"at most {threshold:g}, and below the control"
    if reached:
        return (HOLDS if apart else PARTLY), rule
    half_way = abs(ours["value"] - control["value"]) >= abs(threshold - control["value"]) / 2
    return (PARTLY if apart and half_way else FAILS), rule


def exceeds(ours: Value, control: Value) -> tuple[str, str]:
    """Judge whether a value is above its control, by how much does not matter."""
    return (HOLDS if _is_above(ours, control) else FAILS), "above the control"


def _is_above(first: Value, second: Value) -> bool:
    return bool(first["low"] > second["high"])


def keeps(ours: Value, control: Value) -> tuple[str, str]:
    """Judge whether a value that is to be large has not dropped below its control.

    Examples
    --------
    >>> keeps({"value": 0.93}, {"value": 0.96})
    ('holds', 'at most 0.05 below the control')
    """
    lost = control["value"] - ours["value"]
    verdict = HOLDS if lost <= KEEPS + 1e-9 else PARTLY if lost <= KEEPS_PARTLY + 1e-9 else FAILS
    return verdict, f"at most {KEEPS:g} below the control"
