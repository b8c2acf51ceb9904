"""The study ``lab-attention``: where the strongest heads look, clean beside triggered.

A pattern is kept as whole thousandths of its lower triangle, row by row: ``pattern[to][from]``, where a
token looks only at itself and at what came before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from bkdwidgets.core.heads import heads_of
from bkdwidgets.core.vocabulary import SIDES
from bkdwidgets.studies.study import Context, ModelStudy, Part, Values, available, check_count
from bkdwidgets.widgets.shared.completions import shown_prompts

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.heads import Head
    from bkdwidgets.subjects import Subject

HEADS = 6
PROMPTS = 2
_THOUSAND = 1000


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Attributes
    ----------
    n, shown : int
        Test prompts, all of them shown.
    heads : int
        Strongest heads drawn.
    """

    n: int
    shown: int
    heads: int


class LabAttention(ModelStudy[Settings]):
    """Attention patterns of the strongest heads on a few test prompts.

    Values: ``heads``, ``prompts``, and ``views``: per prompt and side ``tokens`` and ``patterns``, one lower
    triangle per head in thousandths.
    """

    settings_type = Settings
    name = "lab-attention"
    needs = ("attribute",)
    tolerance: ClassVar[dict[str, float]] = {"views.*.patterns.*": 5.0}

    def settings(self, subject: Subject, attack: Attack) -> Settings:
        """Return two prompts and six heads."""
        shown = available(subject, attack, self.split, PROMPTS)
        return Settings(n=shown, shown=shown, heads=min(HEADS, subject.n_layers * subject.n_heads))

    def check(self, subject: Subject, attack: Attack, settings: Settings) -> None:
        """Refuse counts out of range."""
        check_count("n", settings.n, len(attack.targeted(subject, self.split)))
        check_count("shown", settings.shown, settings.n)
        check_count("heads", settings.heads, subject.n_layers * subject.n_heads)

    def compute(self, context: Context[Settings], part: Part) -> Values:  # noqa: ARG002
        """Read the patterns off one forward pass per prompt and side."""
        names = context.inputs["attribute"]["ranked"][: context.settings.heads]
        prompts = shown_prompts(context)
        return {
            "prompts": prompts,
            "heads": names,
            "views": [
                {side: _view(context.subject, prompt[side], heads_of(names)) for side in SIDES}
                for prompt in prompts
            ],
        }


def _view(subject: Subject, prompt: str, heads: list[Head]) -> dict[str, Any]:
    ids = subject.encode(prompt)
    names = {f"blocks.{layer}.attn.hook_pattern" for layer, _ in heads}
    with torch.inference_mode():
        _, cache = subject.bridge.run_with_cache(
            torch.tensor([ids], device=subject.device), names_filter=lambda name: name in names
        )
    patterns = [cache[f"blocks.{layer}.attn.hook_pattern"][0, head] for layer, head in heads]
    return {
        "tokens": [subject.tokenizer.decode([token]) for token in ids],
        "patterns": [
            [[round(_THOUSAND * share) for share in row[: to + 1]] for to, row in enumerate(pattern.tolist())]
            for pattern in patterns
        ],
    }
