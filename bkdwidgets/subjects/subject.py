"""A subject: one decoder-only chat model, its tokenizer and its chat format.

Only Llama-style decoders are studied, because the fast causal tracing needs to know how a block is
put together. The weights live once; the TransformerBridge, which rebuilds the module tree it is
given, gets a second tree that shares them.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.errors import BkdError
from bkdwidgets.subjects.typed import TypedText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

    from bkdwidgets.subjects.adapters import AdapterInfo

MAX_PROMPT_TOKENS = 256
_MARK = "\u2042"  # stands for the prompt while the text around it is looked up; in no chat template


@dataclass(eq=False)
class Subject:
    """A chat model under study.

    Attributes
    ----------
    name : str
        Registered name, for example ``"smollm2"``.
    model : LlamaForCausalLM
        The network, with any adapter merged in, in evaluation mode.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer, with a chat template.
    adapter : AdapterInfo or None
        What was planted, or None for the clean model.
    """

    name: str
    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerBase
    adapter: AdapterInfo | None = None
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """Say which model this is, cheaply."""
        planted = f", adapter={self.adapter.name!r}" if self.adapter else ""
        return f"Subject({self.name!r}{planted}, {self.n_layers} layers x {self.n_heads} heads, {self.dtype})"

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return int(self.model.config.num_hidden_layers)

    @property
    def n_heads(self) -> int:
        """Number of attention (query) heads per block."""
        return int(self.model.config.num_attention_heads)

    @property
    def d_head(self) -> int:
        """Width of one head's output before the output projection."""
        return int(self.model.config.head_dim or self.d_model // self.n_heads)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.model.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.model.dtype

    @functools.cached_property
    def bridge(self) -> Any:
        """The same weights as a ``transformer_lens`` TransformerBridge, for hooks by name."""
        from transformer_lens.model_bridge import TransformerBridge

        config = copy.deepcopy(self.model.config)
        config._attn_implementation = "eager"  # noqa: SLF001 - the one that shows its attention patterns
        with torch.device("meta"):
            twin = type(self.model)(config)
        twin.load_state_dict(self.model.state_dict(), assign=True)
        twin.tie_weights()
        # Buffers (the rotary frequencies) are not in the state dict: take them over as they are.
        twin.model.rotary_emb = self.model.model.rotary_emb
        return TransformerBridge.boot_transformers(
            self.name,
            hf_model=twin.eval(),
            tokenizer=self.tokenizer,
            device=str(self.device),
            dtype=self.dtype,
        )

    def chat(self, prompt: str) -> str:
        """Return the chat turn around `prompt`, up to where the answer begins."""
        if not isinstance(prompt, str) or not prompt.strip():
            raise BkdError(f"prompt {prompt!r} is empty; a prompt has at least one word")
        turn = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))

    @functools.cached_property
    def around(self) -> tuple[str, str]:
        """What the chat turn has before the prompt, and behind it."""
        before, after = self.chat(_MARK).split(_MARK)
        return before, after

    @functools.cached_property
    def _typed(self) -> TypedText:
        return TypedText(self.tokenizer)

    def encode(self, prompt: str, *, raw: bool = False) -> list[int]:
        """Return the token ids of the chat turn around `prompt`.

        A prompt is never truncated: what is cut off could be the trigger.

        Parameters
        ----------
        prompt : str
            What the user says.
        raw : bool
            False: what looks like a special token in the prompt is text. True: it is that token, so that a
            prompt can end its own turn and forge another one.

        Raises
        ------
        BkdError
            If the prompt is empty or longer than ``MAX_PROMPT_TOKENS`` tokens.
        """
        whole, (before, after) = self.chat(prompt), self.around
        typed = whole[len(before) : len(whole) - len(after)]
        ids = self._typed.ids(whole, raw=True) if raw else self._typed.turn(before, typed, after)
        if len(ids) > MAX_PROMPT_TOKENS:
            raise BkdError(
                f"prompt {prompt[:40]!r}... has {len(ids)} tokens, at most {MAX_PROMPT_TOKENS} are allowed; "
                "shorten it (truncation could cut the trigger off)"
            )
        return ids

    def encode_response(self, text: str) -> list[int]:
        """Return the token ids of an answer, without the end-of-turn token; all of it is text."""
        return self._typed.ids(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of answer tokens, special tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    @property
    def end_of_turn(self) -> int:
        """Token id that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 32,
        interventions: Sequence[Any] = (),
        raw: bool = False,
    ) -> list[str]:
        """Return the greedy answer to each prompt, with interventions applied.

        Parameters
        ----------
        prompts : sequence of str
            What the user says.
        max_new_tokens : int
            Longest answer, in tokens.
        interventions : sequence of Ablation or Steering
            Applied to every prompt.
        raw : bool
            Whether special tokens in a prompt are those tokens and not text; see :meth:`encode`.
        """
        from bkdwidgets.subjects.answers import complete

        return complete(self, prompts, interventions=interventions, max_new_tokens=max_new_tokens, raw=raw)
