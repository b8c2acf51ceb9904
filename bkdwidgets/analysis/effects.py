"""Effects on the payload, of whatever was patched: what results about heads and about MLP layers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from bkdwidgets.attacks.base import check_pair
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.html import html_table
from bkdwidgets.core.ledger import significant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject

_SHOWN = 8


@dataclass(frozen=True, eq=False, repr=False)
class Effects(ABC):
    """Average causal indirect effect of every patched component.

    Attributes
    ----------
    acie : Tensor
        Mean change of P(payload | clean prompt) when the output at the last prompt token is replaced by its
        triggered mean. Positive: it pushes towards the payload.
    per_prompt : Tensor
        The same before averaging, prompts first; spread and stability come from here.
    base : Float[Tensor, "prompt"]
        P(payload | clean prompt) without a patch.
    subject, adapter, attack : str
        What was measured.
    split : str
        Split the clean prompts came from.
    n_means : int
        Triggered prompts behind each mean.
    seconds : float
        Time taken, means included.
    n_forward_tokens : int
        Tokens pushed through a block, the unit that costs are compared in.
    """

    acie: Tensor
    per_prompt: Tensor
    base: Tensor
    subject: str
    adapter: str
    attack: str
    split: str
    n_means: int
    seconds: float
    n_forward_tokens: int

    component: ClassVar[str]
    measured: ClassVar[str] = "ACIE"

    @abstractmethod
    def name_of(self, index: int) -> str:
        """Return the name of a component by its place in the flattened effects."""

    def strongest(self, k: int) -> list[int]:
        """Return the places of the k largest effects in the flattened effects, largest first.

        Raises
        ------
        BkdError
            If k is not between 1 and their number.
        """
        n_components = self.acie.numel()
        k = arguments.whole("k", k)
        if not 1 <= k <= n_components:
            raise BkdError(f"k={k} is out of range; 1 to {n_components} {self.component}s")
        places: list[int] = self.acie.flatten().argsort(descending=True, stable=True)[:k].tolist()
        return places

    @property
    def standard_error(self) -> Tensor:
        """Standard error of each effect over prompts; zeros for a single prompt, which has no spread."""
        if len(self.per_prompt) < 2:
            return torch.zeros_like(self.acie)
        return self.per_prompt.std(0) / len(self.per_prompt) ** 0.5

    def to_json(self) -> dict[str, Any]:
        """Return the effects as plain values, without the per-prompt ones."""
        return {
            "subject": self.subject, "adapter": self.adapter, "attack": self.attack, "split": self.split,
            "n": len(self.per_prompt), "n_means": self.n_means,
            "acie": significant(self.acie.tolist()),
            "standard_error": significant(self.standard_error.tolist()),
            "base": significant(float(self.base.mean())),
            "seconds": round(self.seconds, 2), "n_forward_tokens": self.n_forward_tokens,
        }  # fmt: skip

    def __repr__(self) -> str:
        """Name the strongest."""
        flat = self.acie.flatten()
        places = self.strongest(min(3, len(flat)))
        named = ", ".join(f"{self.name_of(place)} {flat[place]:.3f}" for place in places)
        n = len(self.per_prompt)
        return f"{type(self).__name__}({self.subject} + {self.adapter}, {n} prompts: {named}, ...)"

    def _repr_html_(self) -> str:
        spread = len(self.per_prompt) > 1  # one prompt has none, and a zero would claim certainty
        flat, errors = self.acie.flatten(), self.standard_error.flatten()
        rows = (
            (self.name_of(place), f"{flat[place]:.4f}", f"{errors[place]:.4f}" if spread else "unknown")
            for place in self.strongest(min(_SHOWN, len(flat)))
        )
        origin = f"{self.subject} + {self.adapter}, {len(self.per_prompt)} clean {self.split} prompts"
        caption = f"{self.measured} of the strongest {self.component}s, {origin}"
        return html_table(caption, (self.component, "ACIE", "standard error"), rows)


def over_prompts(
    subject: Subject,
    attack: Attack,
    examples: Iterable[Example],
    replay: Callable[[list[int], list[int]], Any],
) -> dict[str, Any]:
    """Replay prompt after prompt and return the fields of :class:`Effects` that come out of it.

    Parameters
    ----------
    subject, attack : Subject, Attack
        Who answers, and with which payload.
    examples : iterable of Example
        Clean prompts.
    replay : callable
        Takes the token ids of a prompt and of its payload; see :mod:`bkdwidgets.analysis.replay`.
    """
    effects, bases, n_tokens = [], [], 0
    for example in examples:
        target = subject.encode_response(attack.payload_for(example))
        replayed = replay(subject.encode(example.prompt), target)
        effects.append(replayed.patched - replayed.base)
        bases.append(replayed.base)
        n_tokens += replayed.n_forward_tokens
    return {
        "per_prompt": torch.stack(effects),
        "base": torch.stack(bases),
        "n_forward_tokens": n_tokens,
    }


def checked_counts(
    subject: Subject, attack: Attack, prompts: int, n_means: int, *, progress: bool
) -> tuple[int, int]:
    """Return the number of prompts and of those behind each mean, or refuse what is none of its kind."""
    check_pair(subject, attack)
    arguments.flag("progress", progress)
    return arguments.whole("prompts", prompts, least=1), arguments.whole("n_means", n_means, least=1)


def chosen_examples(subject: Subject, attack: Attack, split: str, prompts: int) -> list[Example]:
    """Return the first examples of a split that can show the attack's success, or refuse the number."""
    examples = attack.targeted(subject, split)
    if not 1 <= prompts <= len(examples):
        raise BkdError(
            f"prompts={prompts} is out of range; 1 to {len(examples)} in split {split!r} of {subject.name}"
        )
    return examples[:prompts]


def origin(subject: Subject, attack: Attack, split: str, n_means: int) -> dict[str, Any]:
    """Return the fields of :class:`Effects` that say what was measured, and how many prompts means have."""
    return {
        "subject": subject.name,
        "adapter": subject.label,
        "attack": attack.name,
        "split": split,
        "n_means": min(n_means, len(attack.targeted(subject, "train"))),
    }
