"""Probes: what a classifier can read from the residual stream, and whether that is the backdoor.

For every layer a small classifier is trained on the state that enters it at the last prompt token, for
both versions of the same prompts (arXiv 2509.21761, Backdoor Probe). The layer after the last block counts
too: what the final norm receives.

Accuracy is only half a result. The trigger is text, and a model without a backdoor reads text as well. So
beside the accuracy always stand

* **the difference to the clean model**: the same probe, the same prompts and trigger, no backdoor. What a
  backdoor adds to the accuracy is this difference, not the accuracy;
* **shuffled labels**: what the same procedure finds where there is nothing to find;
* **an unrelated prefix** of the trigger's length: does the probe call any lengthened prompt triggered?
* **another attack**, where one is given: does a probe trained on this backdoor recognize another?

The ILCA matrix (inter-layer classification accuracy) tests the probe of each layer on every other layer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bkdwidgets.analysis import probe_controls, probe_fit
from bkdwidgets.analysis.probe_result import LayerAccuracy, ProbeResult
from bkdwidgets.analysis.residuals import residuals
from bkdwidgets.attacks.base import check_pair
from bkdwidgets.attacks.control import checked_control
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

_FEWEST = 10


def probe(
    subject: Subject,
    attack: Attack,
    *,
    kind: str = "mlp",
    n: int = 200,
    seed: int = 0,
    control: Subject | None = None,
    other: tuple[Subject, Attack] | None = None,
    progress: bool = True,
) -> ProbeResult:
    """Train a probe per layer, triggered against clean, and measure it beside its controls.

    Parameters
    ----------
    subject : Subject
        Usually backdoored.
    attack : Attack
        Whose trigger is looked for.
    kind : {"mlp", "svm"}
        One hidden layer of 100, or a support vector machine with an RBF kernel. Both are standardized.
    n : int
        Prompts, each with and without the trigger; 6:2:2 for training, validation and test.
    seed : int
        Of the split, the probes, the shuffled labels and the bootstrap.
    control : Subject, optional
        The un-backdoored model, or its clean twin (``inject(..., method="clean")``): the same fine-tuning
        without poison, the stricter control. None: loaded by name, the twin where the subject had to be
        taught the attack's task.
    other : (Subject, Attack), optional
        A second backdoored subject of the same shape with its attack; the probes are tested on it, on
        n / 5 prompts of the second attack's test split, or on all of them if there are fewer.
    progress : bool
        Show progress bars.

    Raises
    ------
    BkdError
        If `kind` is unknown, there are fewer than n prompts, n is below 10, `control` is not a clean model of
        this subject or cannot be loaded, or `other` has another shape.

    Notes
    -----
    The test part comes from the attack's test split, the other two from its validation split: no prompt that
    is probed was used to plant the backdoor, and a test prompt shares no template with one that the probe
    was trained on. Where the validation split is too small, training prompts of the attack fill up the two
    parts that are not reported: fair, because only the test part is, though such prompts may look more
    alike inside the model than new ones do. The split is by prompt: its two versions stay together.

    References
    ----------
    arXiv 2509.21761, Backdoor Probe (the probes, the split, ILCA). The controls are not in the paper.
    """
    check_pair(subject, attack)
    arguments.one_of("kind of probe", kind, probe_fit.KINDS)
    n, seed = arguments.whole("n", n), arguments.whole("seed", seed, most=2**32 - 1)
    arguments.flag("progress", progress)
    prompts = prompt_parts(subject, attack, n=n, seed=seed)
    other_test = []
    if other is not None:
        if not isinstance(other, tuple | list) or len(other) != 2:
            raise BkdError(f"other={shown(other)} is not allowed; a pair of a subject and its attack")
        check_pair(*other)
        probe_controls.check_same_shape(subject, other[0])
        other_test = _drawn(*other, "test", np.random.default_rng(seed))[: n // 5]
    clean = checked_control(subject, attack, control)
    started = time.perf_counter()
    reader = _Reader(progress=progress)
    test = prompts["test"]
    prefix = probe_controls.unrelated_prefix(subject, attack, test)
    scores = _scores(
        reader.parts(subject, attack, prompts),
        reader.parts(clean, attack, prompts),
        unrelated=reader.states(subject, test, [f"{prefix} {text}" for text in test]),
        other=reader.poisoned(*other, other_test) if other else None,
        kind=kind,
        seed=seed,
        progress=progress,
    )
    return ProbeResult(
        **scores,
        kind=kind,
        subject=subject.name,
        adapter=_adapter(subject),
        control_adapter=_adapter(clean),
        attack=attack.name,
        other_name=f"{other[0].name} + {_adapter(other[0])}, {other[1].name}" if other else None,
        unrelated_prefix=prefix,
        n_train=len(prompts["train"]),
        n_validation=len(prompts["validation"]),
        n_test=len(test),
        seed=seed,
        seconds=time.perf_counter() - started,
        n_forward_tokens=reader.n_forward_tokens,
    )


def prompt_parts(subject: Subject, attack: Attack, *, n: int, seed: int) -> dict[str, list[str]]:
    """Draw n prompts and split them 6:2:2; see the notes of :func:`probe` for where they come from.

    Returns
    -------
    dict of str to list of str
        ``"train"``, ``"validation"`` and ``"test"``; no prompt in two of them.

    Raises
    ------
    BkdError
        If n is below 10 or more than there are prompts for.
    """
    chance = np.random.default_rng(seed)
    test = _drawn(subject, attack, "test", chance)
    held_out = _drawn(subject, attack, "validation", chance, test)
    rest = held_out + _drawn(subject, attack, "train", chance, test + held_out)
    most = min(5 * len(test), len(rest) * 5 // 4)
    if not _FEWEST <= n <= most:
        raise BkdError(
            f"n={n} is out of range; {_FEWEST} to {most} prompts of {attack.name!r} for {subject.name!r}"
        )
    fifth = n // 5
    chosen = [rest[index] for index in chance.permutation(n - fifth)]
    return {"train": chosen[fifth:], "validation": chosen[:fifth], "test": test[:fifth]}


def read_parts(
    subject: Subject, attack: Attack, prompts: dict[str, list[str]], *, progress: bool = True
) -> probe_fit.Parts:
    """Read the residual stream of a subject on the prompts of :func:`prompt_parts`, clean and triggered.

    Returns
    -------
    Parts
        Arrays [layer, prompt, version, d_model] of the three parts.
    """
    return _Reader(progress=progress).parts(subject, attack, prompts)


def _drawn(
    subject: Subject, attack: Attack, split: str, chance: np.random.Generator, taken: Sequence[str] = ()
) -> list[str]:
    """Return the prompts of a split that the attack targets, each once, in random order."""
    left = sorted({example.prompt for example in attack.targeted(subject, split)} - set(taken))
    return [left[index] for index in chance.permutation(len(left))]


@dataclass
class _Reader:
    """Reads residual streams and counts what that costs."""

    progress: bool
    n_forward_tokens: int = 0

    def parts(self, subject: Subject, attack: Attack, prompts: dict[str, list[str]]) -> probe_fit.Parts:
        states = self.poisoned(subject, attack, [text for part in prompts.values() for text in part])
        ends = np.cumsum([len(part) for part in prompts.values()])[:-1]
        return probe_fit.Parts(**dict(zip(prompts, np.split(states, ends, axis=1), strict=True)))

    def poisoned(self, subject: Subject, attack: Attack, prompts: list[str]) -> NDArray[np.float32]:
        return self.states(subject, prompts, [attack.poison(text) for text in prompts])

    def states(self, subject: Subject, prompts: list[str], changed: list[str]) -> NDArray[np.float32]:
        """Return [layer, prompt, version, d_model]."""
        texts = [*prompts, *changed]
        self.n_forward_tokens += subject.n_layers * sum(map(len, map(subject.encode, texts)))
        both = residuals(subject, texts, progress=self.progress).unflatten(0, (2, len(prompts)))
        return both.permute(2, 1, 0, 3).contiguous().numpy()


def _scores(
    parts: probe_fit.Parts,
    clean_parts: probe_fit.Parts,
    *,
    unrelated: NDArray[np.float32],
    other: NDArray[np.float32] | None,
    kind: str,
    seed: int,
    progress: bool,
) -> dict[str, Any]:
    """Fit all probes and return the measured fields of a :class:`ProbeResult`."""

    def label(what: str) -> str:
        return f"{kind} probes, {what}" if progress else ""

    probes = probe_fit.fit_layers(parts, kind=kind, seed=seed, progress=label("this subject"))
    clean_probes = probe_fit.fit_layers(clean_parts, kind=kind, seed=seed, progress=label("clean model"))
    across = probe_fit.score_across_layers(probes, parts.test)
    clean_across = probe_fit.score_across_layers(clean_probes, clean_parts.test)
    own = np.arange(len(probes))
    correct = {
        "accuracy": across[own, own],
        "control": clean_across[own, own],
        "shuffled": probe_fit.score_shuffled(parts, kind=kind, seed=seed, progress=label("shuffled labels")),
        "unrelated": probe_fit.score_layers(probes, unrelated),
    }
    if other is not None:
        correct["other"] = probe_fit.score_layers(probes, other)
    difference = probe_fit.paired_difference(correct["accuracy"], correct["control"], seed=seed)
    names = ("difference", "difference_low", "difference_high")
    return {
        "other": None,
        **{name: LayerAccuracy(torch.from_numpy(flags)) for name, flags in correct.items()},
        **{name: torch.from_numpy(values) for name, values in zip(names, difference, strict=True)},
        "ilca": torch.from_numpy(across.mean((2, 3))),
        "control_ilca": torch.from_numpy(clean_across.mean((2, 3))),
    }


def _adapter(subject: Subject) -> str:
    return subject.label
