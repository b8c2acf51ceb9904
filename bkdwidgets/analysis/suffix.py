"""Suffix replay: each head, or each MLP, patched in turn at the last prompt token, in the model's own layers.

The prompt without its last token, the prefix, is run once, and its keys and values are kept. Then the model's
own forward runs on the suffix (last prompt token, and the answer without its last token). It starts with one
row. Before block l, one copy of row 0 is appended for each part of that block, and where the part's output
goes by, its own row is overwritten. So a row costs only the blocks from its own one up. Masks, rotary tables,
norms, fused projections, experts, caps and scales are the model's business.

There are four ways, from the fastest to the one that needs least of a model:

* ``"shared"``: our attention function adds the prefix without copying it for each row.
* ``"expanded"``: the cache hands out prefix and suffix as one for each row; the model's own attention runs.
* ``"fixed"``: all rows are there from the first block on, as in any batch.
* ``"plain"``: one full pass for each part; what the others are held against.

Which one is right for a model is measured: the fastest that agrees with plain passes is taken. So a model
that nobody tried is served rightly, if more slowly, and is never silently wrong.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from bkdwidgets.analysis.shared_prefix import SharedPrefix
from bkdwidgets.analysis.suffix_passes import Passes, Site, Where, overwriting
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.attending import attending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.subjects.anatomy import Anatomy

Mode = Literal["shared", "expanded", "fixed", "plain"]
Kind = Literal["heads", "mlp"]

MEMORY = 2 * 2**30
"""Bytes that the rows of a pass may take; more rows than fit go in several passes."""

_GPU_SHARE = 0.5  # of the memory that is free on a GPU
_CHECK_PROMPT, _CHECK_TARGET, _CHECK_PARTS = 24, 4, 2
_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4}
_TOLERANCE_HALF = 0.2  # log P; what the order of sums alone does to experts in bfloat16
_REFUSALS = (
    RuntimeError, NotImplementedError, AttributeError, TypeError, KeyError, ValueError, IndexError
)  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """How a mode did in the check.

    Attributes
    ----------
    mode : str
        Which.
    difference : float or None
        Largest difference to plain passes in log P; None where it does not run.
    reason : str
        Why it does not run.
    """

    mode: Mode
    difference: float | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Patched:
    """Mean log-probability of the answer's tokens, float64.

    Attributes
    ----------
    base : Float[Tensor, ""]
        Unpatched.
    parts : tuple of Float[Tensor, "part"]
        By block, each part of it patched alone.
    n_forward_tokens : int
        Tokens pushed through a block.
    """

    base: Tensor
    parts: tuple[Tensor, ...]
    n_forward_tokens: int


class SuffixReplay:
    """Patches the heads, or the MLPs, of a decoder.

    Attributes
    ----------
    anatomy : Anatomy
        The decoder.
    kind : str
        What is patched.
    sites : tuple of Site or None
        Where, by block.
    mode : str
        The way that was found to be right.
    trials : tuple of Trial
        What was tried for it.

    Parameters
    ----------
    anatomy : Anatomy
        Of the model.
    kind : str
        ``"heads"`` or ``"mlp"``.
    mode : str, optional
        Taken unchecked; left out: the fastest that agrees with plain passes.
    memory : int, optional
        Bytes that the rows of a pass may take.

    Raises
    ------
    BkdError
        If the model has no such seam.
    """

    def __init__(
        self, anatomy: Anatomy, kind: Kind, *, mode: Mode | None = None, memory: int | None = None
    ) -> None:
        anatomy.require(kind)
        self.anatomy = anatomy
        self.kind: Kind = kind
        self.sites = tuple(_site(anatomy, number, kind) for number in range(len(anatomy.blocks)))
        self.trials: tuple[Trial, ...] = ()
        self._memory = memory
        self.mode: Mode = mode or self._checked_mode()

    @property
    def _parts(self) -> list[tuple[int, int]]:
        return [(number, part) for number, n_parts in self._counts for part in range(n_parts)]

    @property
    def _counts(self) -> list[tuple[int, int]]:
        """Blocks with parts, and how many."""
        return [(number, site.n_parts) for number, site in enumerate(self.sites) if site is not None]

    @torch.inference_mode()
    def __call__(self, prompt: Sequence[int], target: Sequence[int], values: Sequence[Tensor]) -> Patched:
        """Overwrite each part in turn by its value at the last prompt token.

        Parameters
        ----------
        prompt, target : sequence of int
            Token ids of the chat turn and of the answer whose probability is asked for.
        values : sequence of Tensor
            What the parts of each block are overwritten with, [part, width]; what stands there for a block
            without parts is not looked at.
        """
        fills = self._fills(values)
        if self.mode == "plain" or len(prompt) < 2:
            return self._plain(prompt, target, fills, self._parts)
        return self._replayed(prompt, target, fills, self.mode, [number for number, _ in self._counts])

    def _fills(self, values: Sequence[Tensor]) -> dict[int, Float[Tensor, "part width"]]:
        if len(values) != len(self.sites):
            raise BkdError(f"values for {len(values)} blocks were given; the model has {len(self.sites)}")
        kind: dict[str, Any] = {"device": self.anatomy.model.device, "dtype": self.anatomy.model.dtype}
        return {
            number: values[number].reshape(site.n_parts, site.width).to(**kind)
            for number, site in enumerate(self.sites)
            if site is not None
        }

    def _replayed(
        self,
        prompt: Sequence[int],
        target: Sequence[int],
        fills: dict[int, Tensor],
        mode: Mode,
        numbers: Sequence[int],
    ) -> Patched:
        """Patch the parts of some blocks, in as many passes as the memory asks for."""
        model = self.anatomy.attends if mode == "shared" else self.anatomy.model
        if model is None:
            raise NotImplementedError("its attention is not asked of the registry")
        suffix = torch.tensor([[prompt[-1], *target[:-1]]], device=model.device)
        passes = Passes(self.anatomy, model, self.sites, fills, suffix)
        base: Tensor | None = None
        parts: dict[int, Tensor] = {}
        with ExitStack() as stack:
            shared = SharedPrefix()
            if mode == "shared":
                stack.enter_context(attending(shared))
            prefix = passes.read(prompt[:-1])
            shared.reads_prefix = False
            run = passes.fixed if mode == "fixed" else partial(passes.growing, expanded=mode == "expanded")
            for chunk in self._chunks(numbers, len(prompt) - 1, suffix.shape[1], mode):
                scores = self._scores(run(prefix, chunk), target)
                base = scores[0] if base is None else base
                found = scores[1:].split([fills[number].shape[0] for number in chunk])
                parts.update(zip(chunk, found, strict=True))
        return self._patched(base, parts, passes.n_tokens)

    def _patched(self, base: Tensor | None, parts: dict[int, Tensor], n_tokens: int) -> Patched:
        empty = torch.empty(0, dtype=torch.float64)
        ordered = tuple(parts.get(number, empty) for number in range(len(self.sites)))
        if base is None:
            raise BkdError("nothing is patched")
        return Patched(base, ordered, n_tokens)

    def _scores(
        self, hidden: Float[Tensor, "row token d_model"], target: Sequence[int]
    ) -> Float[Tensor, " row"]:
        wanted = torch.tensor(target, device=hidden.device).expand(hidden.shape[:2])
        return self.anatomy.readout.log_probabilities(hidden, wanted).cpu().double().mean(1)

    def _plain(
        self,
        prompt: Sequence[int],
        target: Sequence[int],
        fills: dict[int, Tensor],
        parts: Sequence[tuple[int, int]],
    ) -> Patched:
        """Run the whole sequence once for each part."""
        model, place = self.anatomy.model, len(prompt) - 1
        decoder = self.anatomy.decoder(model)
        ids = torch.tensor([[*prompt, *target[:-1]]], device=model.device)

        def score(patch: tuple[int, int] | None) -> Tensor:
            with ExitStack() as stack:
                site = None if patch is None else self.sites[patch[0]]
                if patch is not None and site is not None:
                    where = Where([0], [patch[1]], place, ids.shape[1])
                    stack.callback(overwriting(model, site, fills[patch[0]], where).remove)
                hidden = decoder(input_ids=ids, use_cache=False).last_hidden_state
            return self._scores(hidden[:, place:], target)[0]

        found: dict[int, list[Tensor]] = {number: [] for number, _ in parts}
        base = score(None)
        for number, part in parts:
            found[number].append(score((number, part)))
        n_tokens = (len(parts) + 1) * ids.shape[1] * len(self.sites)
        return self._patched(base, {number: torch.stack(each) for number, each in found.items()}, n_tokens)

    def _chunks(self, numbers: Sequence[int], n_prefix: int, n_suffix: int, mode: Mode) -> list[list[int]]:
        """Split blocks so that the rows of each pass fit the memory; at least one block goes in each."""
        counts = dict(self._counts)
        most = self._most_rows(n_prefix, n_suffix, mode)
        chunks: list[list[int]] = []
        rows = most
        for number in reversed(numbers):  # rows of the last blocks are there for the shortest time
            if rows + counts[number] > most:
                chunks.append([])
                rows = 1
            chunks[-1].append(number)
            rows += counts[number]
        return [sorted(chunk) for chunk in chunks]

    def _most_rows(self, n_prefix: int, n_suffix: int, mode: Mode) -> int:
        model = self.anatomy.model
        memory = self._memory
        if memory is None and model.device.type == "cuda":
            memory = int(_GPU_SHARE * torch.cuda.mem_get_info(model.device)[0])
        config, size = model.config.get_text_config(decoder=True), model.dtype.itemsize
        n_heads = max((block.n_heads for block in self.anatomy.blocks), default=0)
        wide = getattr(config, "intermediate_size", None) or 4 * self.anatomy.d_model
        inner = max(wide) if isinstance(wide, list) else int(wide)
        widest = max(
            (block.n_heads * block.d_head for block in self.anatomy.blocks), default=self.anatomy.d_model
        )
        numbers = 6 * self.anatomy.d_model + 4 * inner + 4 * widest
        scores = 3 * n_heads * (n_prefix + n_suffix)
        copies = 4 * widest * (n_prefix + n_suffix) if mode != "shared" else 0
        return max(1, (memory or MEMORY) // (n_suffix * (numbers * size + scores * 4) + copies * size))

    @torch.inference_mode()
    def _checked_mode(self) -> Mode:
        """Return the fastest mode that agrees with plain passes on a few parts of this model."""
        chance = torch.Generator().manual_seed(0)
        n_words = int(self.anatomy.model.get_input_embeddings().weight.shape[0])
        ids = torch.randint(0, n_words, (_CHECK_PROMPT + _CHECK_TARGET,), generator=chance).tolist()
        prompt, target = ids[:_CHECK_PROMPT], ids[_CHECK_PROMPT:]
        fills = self._fills(
            [
                torch.zeros(0) if site is None else torch.randn(site.n_parts, site.width, generator=chance)
                for site in self.sites
            ]
        )
        counts = self._counts
        tried = [counts[place] for place in sorted({0, len(counts) // 2, len(counts) - 1})]
        some = [(number, part) for number, n in tried for part in range(min(n, _CHECK_PARTS))]
        right = self._plain(prompt, target, fills, some)
        limit = _TOLERANCE.get(self.anatomy.model.dtype, _TOLERANCE_HALF)
        trials: list[Trial] = []
        for mode in get_args(Mode)[:-1]:
            try:
                found = self._replayed(prompt, target, fills, mode, [number for number, _ in tried])
            except _REFUSALS as error:
                reason = " ".join(str(error).split())[:120]
                trials.append(Trial(mode, None, f"{type(error).__name__}: {reason}"))
                continue
            trials.append(Trial(mode, _largest_difference(found, right)))
            if not trials[-1].difference <= limit:  # type: ignore[operator]
                continue
            self.trials = tuple(trials)
            return mode
        self.trials = tuple(trials)
        return "plain"


def _largest_difference(found: Patched, right: Patched) -> float:
    pairs = [(found.base[None], right.base[None])]
    pairs += [(one[: len(other)], other) for one, other in zip(found.parts, right.parts, strict=True)]
    return max(float((one - other).abs().max()) for one, other in pairs if len(other))


def _site(anatomy: Anatomy, number: int, kind: Kind) -> Site | None:
    block = anatomy.blocks[number]
    if kind == "heads":
        seam = block.heads
        return None if seam is None else Site(seam.path, True, seam.n_heads, seam.d_head)
    return None if block.mlp is None else Site(block.mlp, False, 1, anatomy.d_model)
