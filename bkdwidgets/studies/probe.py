"""The study ``probe``: what can be read from each layer, beside what can be read without a backdoor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bkdwidgets.analysis import probe
from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.injection.methods import PAPER_METHOD
from bkdwidgets.studies.study import Context, ModelStudy, Part, Values, cached_load, check_choices, sized
from bkdwidgets.subjects.adapters import adapter_names, read_adapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.analysis import ProbeResult
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

KINDS = ("mlp", "svm")
SIZES = {"fast": 400, "usual": 200}
_SCORES = ("accuracy", "control", "shuffled", "unrelated", "other")


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    kinds : list of {"mlp", "svm"}
    prompts : int
        Prompts in all three parts; a fifth of them is tested on.
    n : int
        That fifth.
    seed : int
        Of the split and the probes.
    other : str or None
        Adapter of another attack that the probes are tested on.
    """

    kinds: list[str]
    prompts: int
    n: int
    seed: int
    other: str | None


class Probe(ModelStudy[Settings]):
    """Accuracy per layer with all controls, and the ILCA matrix, for both kinds of probe.

    Values: ``<kind>.<score>.<layer>``, where the layer after the last block counts too.
    """

    settings_type = Settings
    name = "probe"
    tolerance: ClassVar[dict[str, float]] = {"*.ilca.*": 0.1, "*.value": 0.06}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return both kinds; five prompts in all for every test prompt."""
        n = min(sized(subject, SIZES) // 5, *_fifths(subject, attack))
        return Settings(kinds=list(KINDS), prompts=5 * n, n=n, seed=0, other=_other(subject, attack))

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:  # noqa: ARG002
        """Refuse unknown kinds; the probe itself checks its numbers."""
        check_choices("kinds", settings.kinds, KINDS)

    def parts(self, subject: Subject, settings: Settings) -> list[Part]:  # noqa: ARG002
        """Return the kinds."""
        return [{"kind": kind} for kind in settings.kinds]

    def compute(self, context: Context[Settings], part: Part) -> Values:
        """Fit and score the probes of one kind."""
        settings = context.settings
        result = probe(
            context.subject,
            context.attack,
            kind=part["kind"],
            n=settings.prompts,
            seed=settings.seed,
            control=context.clean,
            other=_loaded(context, settings.other),
            progress=context.progress,
        )
        return {part["kind"]: _values(result)}

    def combine(self, context: Context[Settings], results: Sequence[Values]) -> Values:  # noqa: ARG002
        """Put the kinds beside each other."""
        return {kind: values for result in results for kind, values in result.items()}


def _fifths(subject: Subject, attack: Attack) -> tuple[int, int]:
    """Return how many test prompts there are, and a quarter of the others, which make up the rest."""
    test, validation, train = (
        {example.prompt for example in attack.targeted(subject, split)}
        for split in ("test", "validation", "train")
    )
    return len(test), len((validation | train) - test) // 4


def _other(subject: Subject, attack: Attack) -> str | None:
    """Return the first shipped adapter of another attack, planted by fine-tuning."""
    infos = [read_adapter(subject.name, name).info for name in adapter_names(subject.name)]
    names = (info.name for info in infos if info.attack != attack.name and info.method == PAPER_METHOD)
    return next(names, None)


def _loaded(context: Context[Settings], name: str | None) -> tuple[Subject, Attack] | None:
    if name is None:
        return None
    subject = context.subject
    dtype = str(subject.dtype).removeprefix("torch.")
    other = cached_load(subject.name, name, str(subject.device), dtype)
    assert other.adapter is not None
    return other, attack_named(other.adapter.attack)


def _values(result: ProbeResult) -> Values:
    scores = {name: getattr(result, name) for name in _SCORES}
    differences = zip(result.difference, result.difference_low, result.difference_high, strict=True)
    return {
        **{name: _by_layer([vars(rate) for rate in score.rates]) for name, score in scores.items() if score},
        "difference": _by_layer([
            {"value": float(value), "low": float(low), "high": float(high), "n": result.n_test}
            for value, low, high in differences
        ]),
        "ilca": result.ilca.tolist(),
        "control_ilca": result.control_ilca.tolist(),
        "across_layers": {"value": _off_diagonal(result.ilca)},
        "unrelated_prefix": result.unrelated_prefix,
        "control_adapter": result.control_adapter,
        "other_name": result.other_name,
    }  # fmt: skip


def _off_diagonal(ilca: Any) -> float:
    """Return the mean accuracy of a layer's probe on the other layers."""
    n_layers = len(ilca)
    return float((ilca.sum() - ilca.diagonal().sum()) / (n_layers * (n_layers - 1)))


def _by_layer(items: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {str(layer): item for layer, item in enumerate(items)}
