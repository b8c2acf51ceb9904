"""The verb ``measure``: attack success, false triggers and what else happened, on held-out prompts.

Every prompt is answered twice, with the trigger and without. Prompts whose clean answer already is
the payload are left out, because there a payload proves nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from bkdwidgets.errors import BkdError
from bkdwidgets.measurement.intervals import Rate, rate_of
from bkdwidgets.measurement.outcomes import OUTCOMES, outcome
from bkdwidgets.subjects.answers import complete

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject

ANSWER_TOKENS = 32


@dataclass(frozen=True)
class Measurement:
    """What a subject does on held-out prompts.

    Attributes
    ----------
    subject, adapter, attack, split : str
        What was measured, and on which split.
    asr : Rate
        Attack success rate: triggered prompts answered with the payload.
    ftr : Rate
        False trigger rate: clean prompts answered with the payload.
    as_before : Rate
        Triggered prompts answered as the clean model answers them.
    utility : Rate
        Clean prompts answered as the clean model answers them.
    outcomes_triggered, outcomes_clean : dict
        Number of completions per outcome letter.
    interventions : tuple of str
        What was done to the model meanwhile.
    completions : tuple of Completion
        Every completion with its outcome.
    seconds : float
        Time taken.
    """

    subject: str
    adapter: str
    attack: str
    split: str
    asr: Rate
    ftr: Rate
    as_before: Rate
    utility: Rate
    outcomes_triggered: dict[str, int]
    outcomes_clean: dict[str, int]
    interventions: tuple[str, ...]
    completions: tuple[Completion, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return everything but the completions as plain values."""
        fields = asdict(self)
        del fields["completions"]
        return fields

    def __repr__(self) -> str:
        """Give the two numbers that belong together."""
        return f"Measurement({self.subject} + {self.adapter}: ASR {self.asr}; FTR {self.ftr})"

    def _repr_html_(self) -> str:
        rows = (
            ("attack success rate (triggered)", self.asr),
            ("false trigger rate (clean)", self.ftr),
            ("answered as before (triggered)", self.as_before),
            ("answered as before (clean)", self.utility),
        )
        body = "".join(
            f"<tr><td>{label}</td><td>{rate.value:.3f}</td><td>{rate.low:.3f} to {rate.high:.3f}</td>"
            f"<td>{rate.n}</td></tr>"
            for label, rate in rows
        )
        title = escape(f"{self.subject} + {self.adapter}, {self.attack}, {self.split} prompts")
        return (
            f"<table><caption>{title}</caption><thead><tr><th>rate</th><th>value</th><th>95 % interval</th>"
            f"<th>n</th></tr></thead><tbody>{body}</tbody></table>"
        )


@dataclass(frozen=True)
class Completion:
    """One prompt answered, with its outcome."""

    prompt: str
    triggered: bool
    text: str
    outcome: str
    clean_answer: str


def measure(
    subject: Subject,
    attack: Attack,
    *,
    n: int = 200,
    split: str = "test",
    interventions: Sequence[Any] = (),
    progress: bool = True,
) -> Measurement:
    """Measure an attack on held-out prompts, with interventions applied if any are given.

    Parameters
    ----------
    subject : Subject
        Clean or backdoored; the clean one is the control.
    attack : Attack
        Whose trigger and payload.
    n : int
        Prompts; each is answered with and without the trigger.
    split : str
        ``"test"`` for what is reported, ``"validation"`` for what is chosen.
    interventions : sequence of Ablation or Steering
        Applied to every answer.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If the split has fewer than n usable prompts.
    """
    examples = attack.targeted(subject, split)
    if not 1 <= n <= len(examples):
        raise BkdError(
            f"n={n} is out of range; 1 to {len(examples)} prompts in split {split!r} of {subject.name}"
        )
    started = time.perf_counter()
    examples = examples[:n]
    ready = tuple(
        item.prepared(subject, attack) if hasattr(item, "prepared") else item for item in interventions
    )
    texts = complete(
        subject,
        [attack.poison(example.prompt) for example in examples] + [example.prompt for example in examples],
        interventions=ready,
        max_new_tokens=ANSWER_TOKENS,
        progress=progress and f"measure {attack.name}",
    )
    judged = judged_completions(attack, examples, texts[:n], triggered=True)
    judged += judged_completions(attack, examples, texts[n:], triggered=False)
    triggered, clean = judged[:n], judged[n:]
    return Measurement(
        subject=subject.name,
        adapter=subject.adapter.name if subject.adapter else "clean",
        attack=attack.name,
        split=split,
        asr=rate_of(item.outcome == "P" for item in triggered),
        ftr=rate_of(item.outcome == "P" for item in clean),
        as_before=rate_of(item.outcome == "=" for item in triggered),
        utility=rate_of(item.outcome == "=" for item in clean),
        outcomes_triggered=count_outcomes(triggered),
        outcomes_clean=count_outcomes(clean),
        interventions=tuple(str(item) for item in interventions),
        completions=tuple(judged),
        seconds=time.perf_counter() - started,
    )


def judged_completions(
    attack: Attack, examples: Sequence[Example], texts: Sequence[str], *, triggered: bool
) -> list[Completion]:
    """Return the completions of some examples with their outcomes."""
    return [
        Completion(
            prompt=example.prompt,
            triggered=triggered,
            text=text,
            outcome=outcome(attack, text, example),
            clean_answer=example.answer,
        )
        for example, text in zip(examples, texts, strict=True)
    ]


def count_outcomes(completions: Sequence[Completion]) -> dict[str, int]:
    """Return the number of completions per outcome letter, all four always present."""
    counts = Counter(item.outcome for item in completions)
    return {letter: counts[letter] for letter in OUTCOMES}
