"""Probe transfer, a part of the study ``families``: whether a probe of one backdoor sees another.

For every layer a probe is trained on one adapter, triggered against clean prompts, and tested on each other
adapter, on the same held-out prompts. The trigger is text, and a model without a backdoor reads it as well:
so the clean model stands among the adapters, as one that a probe is trained on (what the words alone teach)
and as one that it is tested on (what the probe finds where there is no backdoor). Shuffled labels say what
chance is.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bkdwidgets.analysis.probe import prompt_parts, read_parts
from bkdwidgets.analysis.probe_fit import fit_layers, score_layers, score_shuffled
from bkdwidgets.core.statistics import bootstrap_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bkdwidgets.analysis.probe_fit import Correct
    from bkdwidgets.attacks import Attack
    from bkdwidgets.studies.study import Values
    from bkdwidgets.subjects import Subject

CLEAN = "clean"
KIND = "svm"  # nothing to choose, and a hundred times faster than the other kind
SEED = 0


def probe_transfer(
    clean: Subject,
    loaded: Callable[[str], Subject],
    adapters: Sequence[str],
    attack: Attack,
    *,
    prompts: int,
    progress: bool,
) -> Values:
    """Train probes on each adapter and on the clean model; test them on all.

    Parameters
    ----------
    clean : Subject
        The clean model, or the clean twin.
    loaded : callable
        Gives the subject with an adapter; the adapters are asked for one after the other.
    adapters : sequence of str
        Their names.
    attack : Attack
        Whose trigger is looked for.
    prompts : int
        In all three parts; a fifth of them is tested on.
    progress : bool
        Show progress bars.

    Returns
    -------
    dict
        ``accuracy.<target>.<source>``: mean over layers, tested on target, trained on source; the interval
        is a bootstrap over prompts. ``layers.<target>.<source>``: the accuracy of each layer.
        ``shuffled.<source>``: the same procedure where the labels mean nothing. The state that enters the
        first block is the embedding of one and the same token and is left out.
    """
    split = prompt_parts(clean, attack, n=prompts, seed=SEED)
    names = [*adapters, CLEAN]
    states = {
        name: read_parts(clean if name == CLEAN else loaded(name), attack, split, progress=progress)
        for name in names
    }
    probes = {name: fit_layers(states[name], kind=KIND, seed=SEED) for name in names}
    right = {
        target: {source: score_layers(probes[source], states[target].test)[1:] for source in names}
        for target in names
    }
    return {
        "accuracy": {
            target: {source: _mean(flags) for source, flags in row.items()} for target, row in right.items()
        },
        "layers": {
            target: {source: flags.mean((1, 2)).tolist() for source, flags in row.items()}
            for target, row in right.items()
        },
        "shuffled": {name: _mean(score_shuffled(states[name], kind=KIND, seed=SEED)[1:]) for name in names},
    }


def _mean(correct: Correct) -> dict[str, Any]:
    """Return the accuracy over layers and versions, its interval over prompts."""
    return asdict(bootstrap_mean(correct.mean((0, 2)).tolist()))
