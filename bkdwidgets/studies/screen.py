"""The study ``screen``: the gradient's guess for every head, held against the exact effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bkdwidgets.analysis.activations import MEAN_PROMPTS
from bkdwidgets.analysis.gradient import screen
from bkdwidgets.core.heads import headline_k, heads_of, names_of, widest_k
from bkdwidgets.studies.attribute import effects_of
from bkdwidgets.studies.study import Context, ModelStudy, Part, Values, available, check_count

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

N = 32


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n : int
        Clean validation prompts; those of the exact effects.
    n_means : int
        Triggered training prompts behind each head's mean.
    """

    n: int
    n_means: int


class Screen(ModelStudy[Settings]):
    """First-order effects and their rank correlation with the exact ones, on the same prompts."""

    settings_type = Settings
    name = "screen"
    needs = ("attribute",)
    split = "validation"
    tolerance: ClassVar[dict[str, float]] = {"acie.*": 1e-3, "spearman.value": 0.02}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return the prompts of the usual attribution."""
        n = available(subject, attack, self.split, N)
        return Settings(n=n, n_means=available(subject, attack, "train", MEAN_PROMPTS))

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse counts out of range."""
        check_count("n", settings.n, len(attack.targeted(subject, self.split)), least=2)
        check_count("n_means", settings.n_means, len(attack.targeted(subject, "train")))

    def compute(self, context: Context[Settings], part: Part) -> Values:  # noqa: ARG002
        """Screen, and compare with the stored exact effects."""
        subject, settings = context.subject, context.settings
        found = screen(
            subject,
            context.attack,
            prompts=settings.n,
            split=self.split,
            n_means=settings.n_means,
            progress=context.progress,
        )
        exact = effects_of(
            context.inputs["attribute"], subject=found.subject, adapter=found.adapter, attack=found.attack
        )
        correlation = found.spearman(exact)
        n_heads = subject.n_layers * subject.n_heads
        ranked = found.top(n_heads)
        best = heads_of(context.inputs["attribute"]["ranked"])
        return {
            "spearman": {**vars(correlation), "n": settings.n},
            "shared": {
                str(k): {"value": len(set(ranked[:k]) & set(best[:k])) / k}
                for k in (headline_k(n_heads), widest_k(n_heads))
            },
            "forward_equivalents": {"value": found.n_forward_tokens / _plain_tokens(context)},
            "ranked": names_of(ranked),
            "acie": found.acie.tolist(),
        }


def _plain_tokens(context: Context[Settings]) -> int:
    """Return the layer-tokens of one plain forward pass over every prompt with its payload."""
    subject = context.subject
    examples = context.attack.targeted(subject, Screen.split)[: context.settings.n]
    tokens = (
        len(subject.encode(item.prompt)) + len(subject.encode_response(context.attack.payload_for(item)))
        for item in examples
    )
    return subject.n_layers * sum(tokens)
