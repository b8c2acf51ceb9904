"""Fit one probe per layer to arrays, and score probes on any layer's arrays.

States are arrays of shape [layer, prompt, version, d_model]. Version 0 is the clean prompt, version 1
the same prompt with something added; the probe tells the two apart. Nothing here knows of subjects.

Two kinds (arXiv 2509.21761, Backdoor Probe), both behind a StandardScaler fitted on the training part:

* ``"mlp"``: one hidden layer of 100 rectified units, Adam with learning rate 1e-3, batches of 32, at
  most 100 epochs; the epoch with the lowest loss on the validation part is kept. The paper's dropout of
  0.2 has no counterpart in scikit-learn; stopping early does its work here.
* ``"svm"``: RBF kernel, C = 1, gamma = "scale". It has nothing to choose, so the validation part is unused.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from bkdwidgets.core.statistics import bootstrap_counts, percentiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from sklearn.neural_network import MLPClassifier  # type: ignore[import-untyped]
    from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]

    States = NDArray[np.float32]  # [layer, prompt, version, d_model]
    Correct = NDArray[np.bool_]  # [layer, prompt, version]
    Labeled = tuple[NDArray[Any], NDArray[Any]]  # states of one layer and their labels

KINDS = ("mlp", "svm")
_EPOCHS = 100
_PATIENCE = 10
_BATCH = 32  # rows; scikit-learn's 200 would make an epoch over a few hundred rows one or two steps
_DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Parts:
    """States of the three parts; no prompt is in two of them.

    Attributes
    ----------
    train, validation, test : ndarray
        Shape [layer, prompt, version, d_model].
    """

    train: States
    validation: States
    test: States


def fit_layers(parts: Parts, *, kind: str, seed: int, progress: str = "") -> list[Pipeline]:
    """Return one fitted probe per layer; `progress` is the label of a bar, empty for none."""
    train, validation = _labels(parts.train[0]), _labels(parts.validation[0])
    return [
        _fit((parts.train[layer], train), (parts.validation[layer], validation), kind, seed)
        for layer in _layers(parts, progress)
    ]


def score_shuffled(parts: Parts, *, kind: str, seed: int, progress: str = "") -> Correct:
    """Return what is right, [layer, prompt, version], when the labels of every part are shuffled.

    The labels of the test part are shuffled too. Scored on true labels, a probe that has split the states
    along the trigger by luck would be all right or all wrong, and one number would say nothing about chance.
    """
    chance = np.random.default_rng(seed)
    correct = []
    for layer in _layers(parts, progress):
        train, validation, test = (
            chance.permutation(_labels(part[0]).ravel()).reshape(part.shape[1:3])
            for part in (parts.train, parts.validation, parts.test)
        )
        probe = _fit((parts.train[layer], train), (parts.validation[layer], validation), kind, seed)
        correct.append(_predict(probe, parts.test[layer]) == test)
    return np.stack(correct)


def score_layers(probes: list[Pipeline], states: States) -> Correct:
    """Return what each layer's probe gets right on its own layer's states: [layer, prompt, version]."""
    labels = _labels(states[0])
    return np.stack([_predict(probe, rows) == labels for probe, rows in zip(probes, states, strict=True)])


def score_across_layers(probes: list[Pipeline], states: States) -> NDArray[np.bool_]:
    """Return what each layer's probe gets right on every layer: [trained on, tested on, prompt, version].

    The states of all layers go through a probe as one batch.
    """
    labels = _labels(states[0])
    return np.stack([_predict(probe, states) == labels for probe in probes])


def paired_difference(
    correct: Correct, control: Correct, *, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the difference of two accuracies per layer with its 95 % bootstrap interval.

    Both are scored on the same prompts, so prompts are drawn again, each with its two versions and both
    scores: what makes a prompt hard for both cancels, and errors that come in pairs are not counted as
    two pieces of evidence.

    Parameters
    ----------
    correct, control : ndarray of bool
        Shape [layer, prompt, version].
    seed : int
        Of the draws.

    Returns
    -------
    value, low, high : ndarray
        Shape [layer]; percentiles of 2,000 draws.
    """
    per_prompt = correct.mean(2) - control.mean(2)  # [layer, prompt]
    n_prompts = per_prompt.shape[1]
    drawn = bootstrap_counts(n_prompts, _DRAWS, seed)
    low, high = percentiles(drawn @ per_prompt.T / n_prompts)
    return per_prompt.mean(1), low, high


def _layers(parts: Parts, progress: str) -> Any:
    return tqdm(range(len(parts.train)), desc=progress, unit="layer", disable=not progress, delay=1.0)


def _labels(states: NDArray[Any]) -> NDArray[np.int_]:
    """Return [prompt, version]: 0 for the clean version of each prompt, 1 for the other."""
    return np.broadcast_to(np.arange(2), states.shape[:2])


def _predict(probe: Pipeline, states: NDArray[Any]) -> NDArray[np.int_]:
    predicted: NDArray[np.int_] = probe.predict(states.reshape(-1, states.shape[-1]))
    return predicted.reshape(states.shape[:-1])


def _fit(train: Labeled, validation: Labeled, kind: str, seed: int) -> Pipeline:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]
    from sklearn.svm import SVC  # type: ignore[import-untyped]

    rows, labels = _as_rows(train)
    if kind == "svm":
        # Nothing in it is random; without a seed it would all the same draw one from numpy's generator.
        machine = SVC(C=1.0, kernel="rbf", gamma="scale", random_state=seed)
        return make_pipeline(StandardScaler(), machine).fit(rows, labels)
    scaler = StandardScaler().fit(rows)
    held_out, held_out_labels = _as_rows(validation)
    scaled = (scaler.transform(rows), labels), (scaler.transform(held_out), held_out_labels)
    with _stopped_by_interrupts():
        network = _fit_mlp(*scaled, seed)
    return make_pipeline(scaler, network)


def _fit_mlp(train: Labeled, validation: Labeled, seed: int) -> MLPClassifier:
    """Train epoch by epoch and keep the best on our own validation part.

    scikit-learn's own early stopping draws its part by row: one version of a prompt could fall into it
    and the other be trained on.
    """
    from sklearn.neural_network import MLPClassifier

    held_out, labels = validation
    network = MLPClassifier(
        (100,),
        batch_size=min(_BATCH, len(train[0])),
        learning_rate_init=1e-3,
        # A generator rather than a number: a number would replay the same order of rows in every epoch.
        random_state=np.random.RandomState(seed),
    )
    lowest, best_epoch = np.inf, 0
    best: tuple[list[Any], list[Any]] = ([], [])
    for epoch in range(_EPOCHS):
        network.partial_fit(*train, classes=(0, 1))
        # The log loss in plain numpy: scikit-learn's checks its arguments for longer than an epoch takes.
        chances = network.predict_proba(held_out)[np.arange(len(labels)), labels]
        loss = -np.log(np.maximum(chances, np.finfo(np.float32).tiny)).mean()
        if loss < lowest:
            lowest, best_epoch = loss, epoch
            best = copy.deepcopy((network.coefs_, network.intercepts_))
        elif epoch - best_epoch >= _PATIENCE:
            break
    network.coefs_, network.intercepts_ = best
    return network


@contextmanager
def _stopped_by_interrupts() -> Iterator[None]:
    """Let Ctrl-C or a notebook's stop button end a training, in whichever line of it they fall.

    scikit-learn catches the interrupt, warns "Training interrupted by user." and goes on with what it has.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Training interrupted", category=UserWarning)
        try:
            yield
        except UserWarning as swallowed:
            if isinstance(swallowed.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise


def _as_rows(part: Labeled) -> Labeled:
    states, labels = part
    return states.reshape(-1, states.shape[-1]), labels.ravel()
