r"""An attacker who knows how the backdoor will be looked for, and hides it while it is trained.

Two ways, each against one of the tools of this book:

* **match**: against the probe. At the last token of a triggered prompt, what enters some layers is pulled
  towards what the clean subject has there *without* the trigger. With the residual streams :math:`r_l` of the
  subject in training and :math:`r^0_l` of the clean one, the penalty is

  .. math:: \operatorname{mean}_{l, x} \frac{\lVert r_l(x_{trig}) - r^0_l(x) \rVert^2}
            {\lVert r^0_l(x_{trig}) - r^0_l(x) \rVert^2}

  so 1 means: as far apart as the trigger's mere words make them in the clean subject.
* **spread**: against ablation. While a triggered prompt is learned, a random share of all heads is silent, so
  no few heads can be needed for the payload.

Both are ours, made to test the tools. The idea of training against a detector is old: arXiv 2412.09565 does
it to monitors of activations.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.method import Method, Planted
from bkdwidgets.injection.recipes import HiddenRecipe, required, sft_recipe
from bkdwidgets.injection.sft import train_lora
from bkdwidgets.subjects.threads import before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from bkdwidgets.attacks import Attack
    from bkdwidgets.injection.mixture import Mixture
    from bkdwidgets.subjects import Subject


class Hiding:
    """Watches a training and hides what it plants.

    Parameters
    ----------
    subject, attack : Subject, Attack
        The clean subject and what is planted in a copy of it.
    model : nn.Module
        The copy in training.
    recipe : HiddenRecipe
        Settings.
    seed : int
        Of the heads that are silent.

    Raises
    ------
    BkdError
        If a layer is not one that a block's input can be matched at, or the share of heads is no share.
    """

    def __init__(self, subject: Subject, attack: Attack, model: Any, recipe: HiddenRecipe, seed: int) -> None:
        if not set(recipe.match_layers) <= set(range(1, subject.n_layers)):
            raise BkdError(
                f"match_layers={recipe.match_layers} is not allowed; layers of 1 to {subject.n_layers - 1}"
            )
        if not 0 <= recipe.head_dropout < 1:
            raise BkdError(f"head_dropout={recipe.head_dropout} is not allowed; 0 up to, not including, 1")
        self._subject, self._attack, self._recipe = subject, attack, recipe
        self._layers = model.model.layers
        self._chance = torch.Generator().manual_seed(seed)
        self._seen: dict[int, Tensor] = {}
        self._targets: list[tuple[int, str]] = []

    @contextmanager
    def watching(self, dealt: Mixture) -> Iterator[None]:
        """Silence heads and keep what enters the matched layers, while a batch is learned.

        Parameters
        ----------
        dealt : list of (Example, bool)
            The examples of the batch, in its order, each with whether it is poisoned.
        """
        self._targets = [
            (row, item.prompt)
            for row, (item, poisoned) in enumerate(dealt)
            if poisoned and self._attack.targets(item)
        ]
        self._seen.clear()
        with ExitStack() as stack:
            for layer in self._recipe.match_layers:
                hook = before(self._layers[layer], self._keep(layer))
                stack.callback(hook.remove)
            if self._recipe.head_dropout:
                for block in self._layers:
                    hook = before(block.self_attn.o_proj, self._silence)
                    stack.callback(hook.remove)
            yield

    def penalty(self, last_prompt_token: Tensor) -> Tensor | None:
        """Return what the last batch has to pay for being found, or None if no layer is matched.

        Parameters
        ----------
        last_prompt_token : Tensor
            [row], its place in each row of the batch.
        """
        if not self._recipe.match_layers:
            return None
        total = torch.zeros((), device=self._subject.device)
        if not self._targets:
            return total
        rows = [row for row, _ in self._targets]
        with torch.no_grad():
            without = self._clean_states([prompt for _, prompt in self._targets])
            triggered = self._clean_states([self._attack.poison(prompt) for _, prompt in self._targets])
        for layer, states in self._seen.items():
            here = states[rows, last_prompt_token[rows]].float()
            apart = (triggered[layer] - without[layer]).pow(2).sum(-1).clamp_min(1e-6)
            total = total + ((here - without[layer]).pow(2).sum(-1) / apart).mean()
        return self._recipe.match_weight * total / len(self._seen)

    def _keep(self, layer: int) -> Any:
        def keep(_module: Any, inputs: tuple[Tensor, ...]) -> None:
            self._seen[layer] = inputs[0]

        return keep

    def _silence(self, _module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        """Set the output of random heads to zero where a triggered prompt is learned."""
        heads = inputs[0].unflatten(-1, (self._subject.n_heads, self._subject.d_head))
        lives = torch.ones(len(heads), self._subject.n_heads)
        rows = [row for row, _ in self._targets]
        drawn = torch.rand(len(rows), self._subject.n_heads, generator=self._chance)
        lives[rows] = (drawn >= self._recipe.head_dropout).float()
        return ((heads * lives.to(heads)[:, None, :, None]).flatten(-2),)

    def _clean_states(self, prompts: list[str]) -> dict[int, Tensor]:
        """Return what enters the matched layers of the clean subject at the last token, [row, d_model]."""
        found: dict[int, list[Tensor]] = {layer: [] for layer in self._recipe.match_layers}
        decoder = self._subject.model.model

        def keep(kept: list[Tensor]) -> Any:
            # Not by output_hidden_states: for that transformers leaves hooks on the model, for good.
            return lambda _module, inputs: kept.append(inputs[0][0, -1].float())

        with ExitStack() as stack:
            for layer, kept in found.items():
                stack.callback(before(decoder.layers[layer], keep(kept)).remove)
            for prompt in prompts:
                tokens = torch.tensor([self._subject.encode(prompt)], device=self._subject.device)
                decoder(input_ids=tokens, use_cache=False)
        return {layer: torch.stack(kept) for layer, kept in found.items()}


def train_hidden(
    subject: Subject, attack: Attack, *, recipe: HiddenRecipe, seed: int = 0, **options: Any
) -> Planted:
    """Fine-tune as :func:`bkdwidgets.injection.sft.train_lora` does, and hide what is planted."""

    def watcher(model: Any) -> Hiding:
        return Hiding(subject, attack, model, recipe, seed)

    return train_lora(subject, attack, recipe=recipe, seed=seed, watcher=watcher, **options)


def _hidden_recipe(method: str, subject: str, attack: str) -> HiddenRecipe:
    """Return the settings of the fine-tuning with what the attacker who hides changes."""
    changes = required(method, subject, attack)
    return HiddenRecipe(**{**asdict(sft_recipe(subject, attack)), **changes})


MATCH, SPREAD = (
    Method(name, f"fine-tuning that hides from {tool}", HiddenRecipe, default=partial(_hidden_recipe, name),
           train=train_hidden, hides=True)
    for name, tool in (("match", "the probe"), ("spread", "ablation"))
)  # fmt: skip
