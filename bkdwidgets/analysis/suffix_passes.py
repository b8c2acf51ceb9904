"""Passes over the suffix of one prompt in which each part of some blocks is overwritten, in its own row."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.analysis.shared_prefix import SuffixCache, new_cache
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.seams import main_tensor
from bkdwidgets.subjects.threads import after, before, before_with_keywords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float, Int
    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from bkdwidgets.subjects.anatomy import Anatomy


@dataclass(frozen=True)
class Site:
    """Where the parts of one block are overwritten.

    Attributes
    ----------
    path : str
        Of the module, in the model.
    entering : bool
        Whether what enters it is overwritten, or what leaves it.
    n_parts, width : int
        Parts side by side, and the width of each.
    """

    path: str
    entering: bool
    n_parts: int
    width: int


@dataclass(frozen=True)
class Where:
    """Rows and parts that are overwritten, pair by pair, at one token of a pass.

    Attributes
    ----------
    rows, parts : list of int
        The pairs.
    token, n_tokens : int
        Its place, and how many there are.
    """

    rows: list[int]
    parts: list[int]
    token: int
    n_tokens: int


def overwriting(
    model: nn.Module, site: Site, fill: Float[Tensor, "part width"], where: Where
) -> RemovableHandle:
    """Overwrite parts of a site as they go by.

    Parameters
    ----------
    model : nn.Module
        Whose module is watched.
    site : Site
        Which.
    fill : Tensor
        What its parts are overwritten with.
    where : Where
        In which rows, and at which token.

    Returns
    -------
    RemovableHandle
        Takes the hook off.
    """
    module = model.get_submodule(site.path)

    def changed(tensor: Tensor) -> Tensor:
        copy = tensor.clone()
        rows = copy.view(-1, where.n_tokens, *fill.shape)
        rows[where.rows, where.token, where.parts] = fill[where.parts]
        return copy

    def entering(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (changed(inputs[0]), *inputs[1:])

    def leaving(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        tensor = main_tensor(output)
        if tensor is None:
            raise TypeError(f"{site.path} returns no tensor")
        return (changed(tensor), *output[1:]) if isinstance(output, tuple) else changed(tensor)

    return before(module, entering) if site.entering else after(module, leaving)


class Passes:
    """Passes over the suffix of one prompt.

    Attributes
    ----------
    n_tokens : int
        Tokens pushed through a block so far.

    Parameters
    ----------
    anatomy : Anatomy
        The decoder.
    model : PreTrainedModel
        Its model, or its twin with our attention.
    sites : sequence of Site or None
        Where parts are overwritten, by block.
    fills : mapping
        With what, by the numbers of the blocks that have parts.
    suffix : Int[Tensor, "1 token"]
        Token ids.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        model: Any,
        sites: Sequence[Site | None],
        fills: Mapping[int, Float[Tensor, "part width"]],
        suffix: Int[Tensor, "1 token"],
    ) -> None:
        self._model, self._sites, self._suffix, self._fills = model, sites, suffix, fills
        self._decoder, self._blocks = anatomy.decoder(model), anatomy.blocks
        self.n_tokens = 0

    def read(self, ids: Sequence[int]) -> Any:
        """Run the prefix and return its cache."""
        cache = new_cache(self._model)
        tokens = torch.tensor([list(ids)], device=self._model.device)
        self._decoder(input_ids=tokens, past_key_values=cache, use_cache=True)
        self.n_tokens += len(ids) * len(self._blocks)
        return cache

    def growing(
        self, prefix: Any, numbers: Sequence[int], *, expanded: bool
    ) -> Float[Tensor, "row token d_model"]:
        """Let each block append its rows."""
        cache, n_suffix = SuffixCache(prefix, expanded=expanded), self._suffix.shape[1]

        def appending(number: int) -> Any:
            n_new = len(self._fills[number]) if number in numbers else 0

            def append(_module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
                rows = inputs[0] if inputs else keywords["hidden_states"]
                # the row axis is the third from the end: Gemma 3n carries several streams
                late = rows.narrow(-3, 0, 1).expand(*rows.shape[:-3], n_new, *rows.shape[-2:])
                rows = torch.cat([rows, late], dim=-3)
                cache.expect(number, rows.shape[-3])
                self.n_tokens += rows.shape[-3] * n_suffix
                return (
                    ((rows, *inputs[1:]), keywords)
                    if inputs
                    else (inputs, keywords | {"hidden_states": rows})
                )

            return append

        with ExitStack() as stack:
            for number, block in enumerate(self._blocks):
                module = self._model.get_submodule(block.path)
                stack.callback(before_with_keywords(module, appending(number)).remove)
            for number in numbers:
                n_new = len(self._fills[number])
                where = Where(list(range(-n_new, 0)), list(range(n_new)), 0, n_suffix)
                stack.callback(self._overwrite(number, where).remove)
            output = self._decoder(input_ids=self._suffix, past_key_values=cache, use_cache=True)
        return output.last_hidden_state

    def fixed(self, prefix: Any, numbers: Sequence[int]) -> Float[Tensor, "row token d_model"]:
        """Have all rows from the first block on."""
        n_rows = 1 + sum(len(self._fills[number]) for number in numbers)
        rows = torch.zeros(n_rows, dtype=torch.long, device=self._model.device)
        cache = copy.deepcopy(prefix)
        cache.reorder_cache(rows)
        first, n_suffix = 1, self._suffix.shape[1]
        with ExitStack() as stack:
            for number in numbers:
                n_new = len(self._fills[number])
                where = Where(list(range(first, first + n_new)), list(range(n_new)), 0, n_suffix)
                stack.callback(self._overwrite(number, where).remove)
                first += n_new
            output = self._decoder(
                input_ids=self._suffix.expand(n_rows, -1), past_key_values=cache, use_cache=True
            )
        self.n_tokens += n_rows * n_suffix * len(self._blocks)
        return output.last_hidden_state

    def _overwrite(self, number: int, where: Where) -> RemovableHandle:
        site = self._sites[number]
        if site is None:
            raise BkdError(f"block {number} has nothing to patch")
        return overwriting(self._model, site, self._fills[number], where)
