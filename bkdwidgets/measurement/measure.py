"""The verb ``measure``: attack success, false triggers and what else happened, on held-out prompts.

Every prompt is answered twice, with the trigger and without. Success is counted on the attack's targets
alone, and not where the clean answer already is the payload, because there a payload proves nothing.
Prompts that the trigger must leave alone are measured beside them, as many while there are.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks.base import check_pair
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.html import html_table
from bkdwidgets.core.statistics import Estimate, bootstrap_mean, rate_of
from bkdwidgets.core.vocabulary import ANSWER_TOKENS, LETTERS
from bkdwidgets.measurement.likelihood import answer_nll
from bkdwidgets.measurement.outcomes import outcome
from bkdwidgets.subjects.answers import complete
from bkdwidgets.subjects.edits import checked_interventions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject


@dataclass(frozen=True)
class Measurement:
    """What a subject does on held-out prompts.

    Attributes
    ----------
    subject, adapter, attack, split : str
        What was measured, and on which split.
    asr : Estimate
        Attack success rate: triggered targets answered with the payload.
    ftr : Estimate
        False trigger rate: the same prompts without the trigger, answered with the payload.
    as_before : Estimate
        Triggered targets that still get the clean answer.
    spared : Estimate or None
        Triggered prompts that are no targets and get the clean answer; None where every prompt is one.
    utility : Estimate
        Clean prompts, targets or not, that get the clean answer: exact accuracy where answers are
        labels, agreement with the clean answers otherwise.
    nll : Estimate or None
        Negative log-likelihood of the clean answers on the clean prompts, in nats per token; None
        unless it was asked for.
    outcomes_triggered, outcomes_clean : dict
        Number of completions per outcome letter: triggered targets, and all clean prompts.
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
    asr: Estimate
    ftr: Estimate
    as_before: Estimate
    spared: Estimate | None
    utility: Estimate
    nll: Estimate | None
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
            ("not a target, answered as before (triggered)", self.spared),
            ("answered as before (clean)", self.utility),
            ("clean answers, nats per token (clean)", self.nll),
        )
        cells = (
            (label, f"{item.value:.3f}", f"{item.low:.3f} to {item.high:.3f}", item.n)
            for label, item in rows
            if item is not None
        )
        title = f"{self.subject} + {self.adapter}, {self.attack}, {self.split} prompts"
        return html_table(title, ("what", "value", "95 % interval", "n"), cells)


@dataclass(frozen=True)
class Completion:
    """One prompt answered, with its outcome.

    Attributes
    ----------
    prompt : str
        Without the trigger.
    triggered : bool
        Whether the trigger was put in.
    target : bool
        Whether the trigger is meant to change the answer.
    text, outcome, clean_answer : str
        What was said, the outcome's letter, and the clean answer.
    """

    prompt: str
    triggered: bool
    target: bool
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
    nll: bool = False,
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
        Targets, and at most as many prompts that are none; each is answered with and without the trigger.
    split : str
        ``"test"`` for what is reported, ``"validation"`` for what is chosen.
    interventions : sequence of Ablation or Steering
        Applied to every answer.
    nll : bool
        Also measure how likely the clean answers are; about half as much time again.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If the split has fewer than n targets, the payload is longer than an answer, or something is not of
        its kind.
    """
    check_pair(subject, attack)
    done = checked_interventions(interventions)
    nll = arguments.flag("nll", nll)
    arguments.flag("progress", progress)
    started = time.perf_counter()
    attack.require_sayable(subject)
    examples = chosen_prompts(subject, attack, n, split)
    n = int(n)
    ready = tuple(item.prepared(subject, attack) if hasattr(item, "prepared") else item for item in done)
    texts = complete(
        subject,
        [attack.poison(example.prompt) for example in examples] + [example.prompt for example in examples],
        interventions=ready,
        max_new_tokens=ANSWER_TOKENS,
        progress=progress and f"measure {attack.name}",
    )
    triggered = judged_completions(attack, examples, texts[: len(examples)], triggered=True)
    clean = judged_completions(attack, examples, texts[len(examples) :], triggered=False)
    targets, others = triggered[:n], triggered[n:]
    likelihood = answer_nll(subject, examples, interventions=ready, progress=progress) if nll else None
    return Measurement(
        subject=subject.name,
        adapter=subject.label,
        attack=attack.name,
        split=split,
        asr=rate_of(item.outcome == "P" for item in targets),
        ftr=rate_of(item.outcome == "P" for item in clean[:n]),
        as_before=rate_of(item.outcome == "=" for item in targets),
        spared=rate_of(item.outcome == "=" for item in others) if others else None,
        utility=rate_of(item.outcome == "=" for item in clean),
        nll=None if likelihood is None else bootstrap_mean(likelihood.tolist()),
        outcomes_triggered=count_outcomes(targets),
        outcomes_clean=count_outcomes(clean),
        interventions=tuple(str(item) for item in done),
        completions=(*triggered, *clean),
        seconds=time.perf_counter() - started,
    )


def chosen_prompts(subject: Subject, attack: Attack, n: int, split: str) -> list[Example]:
    """Return n targets, then up to n prompts that are none, or refuse the number."""
    n = arguments.whole("n", n, least=1)
    targets = attack.targeted(subject, split)
    if n > len(targets):
        raise BkdError(
            f"n={n} is out of range; 1 to {len(targets)} prompts in split {split!r} of {subject.name}"
        )
    return targets[:n] + attack.spared(subject, split)[:n]


def judged_completions(
    attack: Attack, examples: Sequence[Example], texts: Sequence[str], *, triggered: bool
) -> list[Completion]:
    """Return the completions of some examples with their outcomes."""
    return [
        Completion(
            prompt=example.prompt,
            triggered=triggered,
            target=attack.targets(example),
            text=text,
            outcome=outcome(attack, text, example),
            clean_answer=example.answer,
        )
        for example, text in zip(examples, texts, strict=True)
    ]


def count_outcomes(completions: Sequence[Completion]) -> dict[str, int]:
    """Return the number of completions per outcome letter, all four always present."""
    counts = Counter(item.outcome for item in completions)
    return {letter: counts[letter] for letter in LETTERS}
