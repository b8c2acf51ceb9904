"""Average causal indirect effect (ACIE) of every attention head, exactly and fast.

For a clean prompt x and the payload y*, overwrite one head's output at the last prompt token by its
mean over triggered prompts, ``a(l, h)``, and see how much likelier the payload becomes:

    CIE(l, h; x) = P(y* | x, patched) - P(y* | x),   P(y|x) = (prod_t p(y_t | x, y_<t)) ** (1 / |y|)

ACIE is the mean over clean prompts (arXiv 2509.21761, section 4). Positive: the head pushes towards
the payload.

Why this can be fast. A patch at the last prompt token of layer l leaves every earlier position, and
every layer below l, as it was. So the prompt is run once and its keys and values are kept: activation
patching with key-value cache reuse. One pass then runs the suffix (last prompt token and payload)
through the layers with a growing batch: it starts with the unpatched suffix, and each layer adds one
row per head, a copy of the unpatched suffix with that head overwritten. A row costs only the layers
above its own, and all rows share one matrix product.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tqdm.auto import tqdm

from bkdwidgets.analysis.activations import MEAN_PROMPTS, mean_head_outputs
from bkdwidgets.analysis.effects import Effects, checked_counts, chosen_examples, origin, over_prompts
from bkdwidgets.analysis.replay import replaying

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject


@dataclass(frozen=True, eq=False, repr=False)
class HeadEffects(Effects):
    """Average causal indirect effect of every attention head.

    The attributes are those of :class:`bkdwidgets.analysis.effects.Effects`: ``acie`` and
    ``standard_error`` are [layer, head], ``per_prompt`` is [prompt, layer, head].
    """

    component: ClassVar[str] = "head"

    def name_of(self, index: int) -> str:
        """Return a head's name, for example ``"L12H3"``."""
        return "L{}H{}".format(*divmod(index, self.acie.shape[1]))

    def top(self, k: int) -> list[tuple[int, int]]:
        """Return the k heads with the largest ACIE, largest first, as (layer, head).

        Raises
        ------
        BkdError
            If k is not between 1 and the number of heads.
        """
        return [divmod(place, self.acie.shape[1]) for place in self.strongest(k)]


def attribute(
    subject: Subject,
    attack: Attack,
    *,
    prompts: int = 32,
    split: str = "validation",
    n_means: int = MEAN_PROMPTS,
    progress: bool = True,
) -> HeadEffects:
    """Measure the ACIE of every head, exactly.

    Parameters
    ----------
    subject : Subject
        The backdoored subject.
    attack : Attack
        Its attack.
    prompts : int
        Number of clean prompts to average over.
    split : str
        Where they come from. Heads are chosen by the result, so the default is the validation split.
    n_means : int
        Triggered training prompts behind each head's mean.
    progress : bool
        Show a progress bar.

    Raises
    ------
    BkdError
        If the split has fewer prompts than asked for, or something is not of its kind.
    """
    prompts, n_means = checked_counts(subject, attack, prompts, n_means, progress=progress)
    examples = chosen_examples(subject, attack, split, prompts)
    started = time.perf_counter()
    means = mean_head_outputs(subject, attack, triggered=True, n_prompts=n_means, progress=progress)
    found = over_prompts(
        subject,
        attack,
        tqdm(examples, desc="exact ACIE", unit="prompt", disable=not progress),
        replaying(subject, "heads", means),
    )
    return HeadEffects(
        acie=found["per_prompt"].mean(0),
        **found,
        **origin(subject, attack, split, n_means),
        seconds=time.perf_counter() - started,
    )
