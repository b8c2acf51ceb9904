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
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bkdwidgets.analysis import probe_controls, probe_fit
from bkdwidgets.analysis.residuals import residuals
from bkdwidgets.errors import BkdError, unknown
from bkdwidgets.measurement.intervals import Rate, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from numpy.typing import NDArray
    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

_FEWEST = 10


@dataclass(frozen=True, eq=False)
class LayerAccuracy:
    """How often the probe of each layer is right on the test part.

    Attributes
    ----------
    correct : Bool[Tensor, "layer prompt version"]
        Whether each state is classified rightly. Version 0 is the clean prompt, version 1 the changed one.
    """

    correct: Bool[Tensor, "layer prompt version"]

    @property
    def value(self) -> Float[Tensor, " layer"]:
        """Share of states classified rightly, 0 to 1, float64; chance is 0.5."""
        return self.correct.double().mean((1, 2))

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The same with a 95 % Wilson interval per layer; n counts states, two per prompt."""
        hits = self.correct.sum((1, 2)).tolist()
        return tuple(wilson(count, self.correct[0].numel()) for count in hits)

    def to_json(self) -> dict[str, Any]:
        """Return value and interval of every layer as plain lists."""
        rates = self.rates
        return {
            "n": rates[0].n,
            "value": [round(rate.value, 6) for rate in rates],
            "low": [round(rate.low, 6) for rate in rates],
            "high": [round(rate.high, 6) for rate in rates],
        }

    def __repr__(self) -> str:
        """Give the mean over layers."""
        return f"LayerAccuracy({len(self.correct)} layers, mean {float(self.value.mean()):.3f})"


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Triggered against clean, layer by layer, with the controls.

    Layer l is the state that enters block l; layer n_layers is what the last block leaves.

    Attributes
    ----------
    accuracy : LayerAccuracy
        Of the probed subject, on the test part.
    control : LayerAccuracy
        The same on the un-backdoored model, with probes of its own.
    difference, difference_low, difference_high : Float[Tensor, "layer"]
        Accuracy minus the control's, with a 95 % interval from a paired bootstrap over test prompts. Where
        no test prompt differs, there is nothing to resample and the interval shrinks to zero width; with n
        test prompts, a true difference of up to about 3 / n can still hide there (rule of three).
    shuffled : LayerAccuracy
        The same procedure with shuffled labels, in all three parts.
    unrelated : LayerAccuracy
        The subject's probes on the test prompts, clean against lengthened by `unrelated_prefix`. 0.5: they
        see no trigger in it. 1.0: they call any lengthened prompt triggered.
    other : LayerAccuracy or None
        The subject's probes on another subject's residual stream, clean against its own attack's trigger.
    ilca : Float[Tensor, "layer layer"]
        Inter-layer classification accuracy [trained on, tested on] on the test part.
    control_ilca : Float[Tensor, "layer layer"]
        The same on the un-backdoored model.
    kind : {"mlp", "svm"}
        Kind of classifier.
    subject, adapter, attack : str
        What was probed.
    other_name : str or None
        What `other` was measured on.
    unrelated_prefix : str
        The text in front.
    n_train, n_validation, n_test : int
        Prompts in each part; each prompt gives two states.
    seed : int
        Seed of the split, the probes and the draws.
    seconds : float
        Time taken.
    n_forward_tokens : int
        Tokens pushed through a block, the unit that costs are compared in.
    """

    accuracy: LayerAccuracy
    control: LayerAccuracy
    difference: Float[Tensor, " layer"]
    difference_low: Float[Tensor, " layer"]
    difference_high: Float[Tensor, " layer"]
    shuffled: LayerAccuracy
    unrelated: LayerAccuracy
    other: LayerAccuracy | None
    ilca: Float[Tensor, "layer layer"]
    control_ilca: Float[Tensor, "layer layer"]
    kind: str
    subject: str
    adapter: str
    attack: str
    other_name: str | None
    unrelated_prefix: str
    n_train: int
    n_validation: int
    n_test: int
    seed: int
    seconds: float
    n_forward_tokens: int

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single states as plain values."""
        return {
            "subject": self.subject, "adapter": self.adapter, "attack": self.attack, "kind": self.kind,
            "n_train": self.n_train, "n_validation": self.n_validation, "n_test": self.n_test,
            "seed": self.seed, "unrelated_prefix": self.unrelated_prefix, "other_name": self.other_name,
            "accuracy": self.accuracy.to_json(), "control": self.control.to_json(),
            "difference": _rounded(self.difference), "difference_low": _rounded(self.difference_low),
            "difference_high": _rounded(self.difference_high),
            "shuffled": self.shuffled.to_json(), "unrelated": self.unrelated.to_json(),
            "other": self.other.to_json() if self.other else None,
            "ilca": _rounded(self.ilca), "control_ilca": _rounded(self.control_ilca),
            "seconds": round(self.seconds, 2), "n_forward_tokens": self.n_forward_tokens,
        }  # fmt: skip

    def __repr__(self) -> str:
        """Give the two numbers that belong together, as means over layers: nothing is picked."""
        mine, clean = float(self.accuracy.value.mean()), float(self.control.value.mean())
        return (
            f"ProbeResult({self.kind}, {self.subject} + {self.adapter}, {self.n_test} test prompts: "
            f"mean accuracy {mine:.3f}, clean model {clean:.3f})"
        )

    def _repr_html_(self) -> str:
        differences = zip(self.difference, self.difference_low, self.difference_high, strict=True)
        columns = {
            "this subject": _cells(self.accuracy),
            "clean model": _cells(self.control),
            "difference": [f"{value:+.3f} ({low:+.3f} to {high:+.3f})" for value, low, high in differences],
            "shuffled labels": _cells(self.shuffled),
            "unrelated prefix": _cells(self.unrelated),
        }
        if self.other:
            columns[f"on {self.other_name}"] = _cells(self.other)
        head = "".join(f"<th>{escape(name)}</th>" for name in ("layer", *columns))
        body = "".join(
            f"<tr><td>{layer}</td>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
            for layer, row in enumerate(zip(*columns.values(), strict=True))
        )
        title = (
            f"{self.kind} probe, {self.subject} + {self.adapter}, {self.attack}, {self.n_test} test prompts"
        )
        return (
            f"<table><caption>{escape(title)}: accuracy with 95 % interval</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


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
        The un-backdoored model. None: it is loaded by name.
    other : (Subject, Attack), optional
        A second backdoored subject of the same shape with its attack; the probes are tested on it.
    progress : bool
        Show progress bars.

    Raises
    ------
    BkdError
        If `kind` is unknown, there are fewer than n prompts, n is below 10, `control` is not the clean model
        of this subject, or `other` has another shape.

    Notes
    -----
    The test part comes from the attack's test split, the other two from its validation split: no prompt that
    is probed was used to plant the backdoor, and a test prompt shares neither topic nor template with one
    the probe was trained on. Where the validation split is too small, training prompts of the attack fill
    up the two parts that are not reported. The split is by prompt: a prompt's two versions stay together.

    References
    ----------
    arXiv 2509.21761, Backdoor Probe (the probes, the split, ILCA). The controls are not in the paper.
    """
    if kind not in probe_fit.KINDS:
        raise unknown("kind of probe", kind, probe_fit.KINDS)
    if seed < 0:
        raise BkdError(f"seed={seed} is not allowed; 0 or more")
    prompts = prompt_parts(subject, attack, n=n, seed=seed)
    other_test = []
    if other is not None:
        probe_controls.check_same_shape(subject, other[0])
        other_test = prompt_parts(*other, n=n, seed=seed)["test"]
    clean = probe_controls.clean_model(subject, control)
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

    def drawn(split: str, taken: Sequence[str] = ()) -> list[str]:
        usable = [item.prompt for item in attack.targeted(subject, split)]
        left = sorted(set(usable) - set(taken))
        return [left[index] for index in chance.permutation(len(left))]

    test = drawn("test")
    held_out = drawn("validation", test)
    rest = held_out + drawn("train", test + held_out)
    most = min(5 * len(test), len(rest) * 5 // 4)
    if not _FEWEST <= n <= most:
        raise BkdError(
            f"n={n} is out of range; {_FEWEST} to {most} prompts of {attack.name!r} for {subject.name!r}"
        )
    fifth = n // 5
    chosen = [rest[index] for index in chance.permutation(n - fifth)]
    return {"train": chosen[fifth:], "validation": chosen[:fifth], "test": test[:fifth]}


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
        self.n_forward_tokens += subject.n_layers * sum(len(subject.encode(text)) for text in texts)
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
    shuffled = probe_fit.score_shuffled(parts, kind=kind, seed=seed, progress=label("shuffled labels"))
    across = probe_fit.score_across_layers(probes, parts.test)
    clean_across = probe_fit.score_across_layers(clean_probes, clean_parts.test)
    own = np.arange(len(probes))
    correct, clean_correct = across[own, own], clean_across[own, own]
    difference, low, high = probe_fit.paired_difference(correct, clean_correct, seed=seed)
    return {
        "accuracy": _accuracy(correct),
        "control": _accuracy(clean_correct),
        "difference": torch.from_numpy(difference),
        "difference_low": torch.from_numpy(low),
        "difference_high": torch.from_numpy(high),
        "shuffled": _accuracy(shuffled),
        "unrelated": _accuracy(probe_fit.score_layers(probes, unrelated)),
        "other": None if other is None else _accuracy(probe_fit.score_layers(probes, other)),
        "ilca": torch.from_numpy(across.mean((2, 3))),
        "control_ilca": torch.from_numpy(clean_across.mean((2, 3))),
    }


def _accuracy(correct: NDArray[np.bool_]) -> LayerAccuracy:
    return LayerAccuracy(torch.from_numpy(correct))


def _adapter(subject: Subject) -> str:
    return subject.adapter.name if subject.adapter else "clean"


def _rounded(values: Tensor) -> Any:
    return np.round(values.numpy(), 6).tolist()


def _cells(accuracy: LayerAccuracy) -> list[str]:
    return [f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})" for rate in accuracy.rates]
