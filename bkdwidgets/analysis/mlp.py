"""Average causal indirect effect of every MLP layer.

Other work finds the backdoor in the MLP layers and sees attention only carrying it along (arXiv
2603.13461; arXiv 2302.12461). So the question that is asked of every head is asked of every MLP layer: on
a clean prompt, replace its output at the last prompt token by the mean over triggered prompts, and see how
much likelier the payload becomes. An MLP layer writes the whole width of the residual stream and a head
only ``d_head`` directions of it, so the two are compared in kind, not one for one.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from tqdm.auto import tqdm

from bkdwidgets.analysis.activations import MEAN_PROMPTS, left_padded
from bkdwidgets.analysis.effects import Effects, checked_counts, chosen_examples, origin, over_prompts
from bkdwidgets.analysis.replay import replaying
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.seams import main_tensor
from bkdwidgets.subjects.threads import after

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.anatomy import Anatomy

_BATCH = 32


@dataclass(frozen=True, eq=False, repr=False)
class MlpEffects(Effects):
    """Average causal indirect effect of every MLP layer.

    The attributes are those of :class:`bkdwidgets.analysis.effects.Effects`: ``acie`` and
    ``standard_error`` are [layer], ``per_prompt`` is [prompt, layer].
    """

    component: ClassVar[str] = "MLP layer"

    def name_of(self, index: int) -> str:
        """Return a layer's name, for example ``"L12"``."""
        return f"L{index}"

    def top(self, k: int) -> list[int]:
        """Return the k layers with the largest ACIE, largest first.

        Raises
        ------
        BkdError
            If k is not between 1 and the number of layers.
        """
        return self.strongest(k)


def attribute_mlp(
    subject: Subject,
    attack: Attack,
    *,
    prompts: int = 32,
    split: str = "validation",
    n_means: int = MEAN_PROMPTS,
    progress: bool = True,
) -> MlpEffects:
    """Measure the ACIE of every MLP layer, exactly.

    Parameters
    ----------
    subject : Subject
        The backdoored subject.
    attack : Attack
        Its attack.
    prompts : int
        Number of clean prompts to average over.
    split : str
        Where they come from.
    n_means : int
        Triggered training prompts behind each layer's mean.
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
    means = mean_mlp_outputs(subject, attack, n_prompts=n_means, progress=progress)
    found = over_prompts(
        subject,
        attack,
        tqdm(examples, desc="exact ACIE of MLP layers", unit="prompt", disable=not progress),
        replaying(subject, "mlp", means),
    )
    found["per_prompt"] = found["per_prompt"][..., 0]  # one MLP a layer
    return MlpEffects(
        acie=found["per_prompt"].mean(0),
        **found,
        **origin(subject, attack, split, n_means),
        seconds=time.perf_counter() - started,
    )


def mean_mlp_outputs(
    subject: Subject, attack: Attack, *, n_prompts: int = MEAN_PROMPTS, progress: bool = False
) -> Float[Tensor, "layer d_model"]:
    """Return the mean MLP outputs at the last prompt token over triggered training prompts, float32."""
    prompts = [attack.poison(example.prompt) for example in attack.targeted(subject, "train")[:n_prompts]]
    if not prompts:
        raise BkdError(f"n_prompts={n_prompts} leaves no prompt to average over; at least 1")
    ids = [subject.encode(prompt) for prompt in prompts]
    batches = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
    bar = tqdm(batches, disable=not progress, desc="MLP outputs")
    anatomy = subject.anatomy
    anatomy.require("mlp")
    return torch.cat([_last_token_outputs(subject, anatomy, batch) for batch in bar]).mean(0)


def _last_token_outputs(
    subject: Subject, anatomy: Anatomy, ids: list[list[int]]
) -> Float[Tensor, "prompt layer d_model"]:
    seen: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        rows = main_tensor(output)
        if rows is not None:
            seen.append(rows.view(len(ids), -1, rows.shape[-1])[:, -1].float().cpu())

    tokens, attention, positions = left_padded(subject, ids)
    with ExitStack() as stack, torch.inference_mode():
        for block in anatomy.blocks:
            stack.callback(after(anatomy.model.get_submodule(block.mlp), keep).remove)
        anatomy.decoder(anatomy.model)(
            input_ids=tokens, attention_mask=attention, position_ids=positions, use_cache=False
        )
    return torch.stack(seen, dim=1)
