"""A subject: one decoder-only chat model, its tokenizer and its chat format.

What an analysis has to know of how a decoder is put together is found by looking at it. The weights live
once; the TransformerBridge, which rebuilds the module tree it is given, gets a second tree that shares them.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.subjects.anatomy import anatomy_of
from bkdwidgets.subjects.kept import Kept
from bkdwidgets.subjects.threads import BUILDING
from bkdwidgets.subjects.typed import TypedText

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

    from bkdwidgets.subjects.adapters import AdapterInfo
    from bkdwidgets.subjects.anatomy import Anatomy

MAX_PROMPT_TOKENS = 256
_MARK = "\u2042"  # stands for the prompt while the text around it is looked up; in no chat template

Value = TypeVar("Value")


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
        What was planted, or None where nothing is known of it.
    clean : bool
        True: whoever made it says that nothing was planted in it, as ``bkd.load`` does of a model that it
        loads without an adapter. Only such a subject is called clean, and serves as the clean control.
    """

    name: str
    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerBase
    adapter: AdapterInfo | None = None
    clean: bool = False
    _formed: tuple[tuple[Any, Any], TypedText, tuple[str, str]] | None = field(
        default=None, init=False, repr=False
    )
    _kept: Kept = field(default_factory=Kept, init=False, repr=False)
    # By thread, each with the places of the weights it was made for.
    _bridges: dict[int, tuple[list[int], Any]] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again: a copy of the subject has weights and threads of its own."""
        return vars(self) | {"_formed": None, "_kept": Kept(), "_bridges": {}}

    def __repr__(self) -> str:
        """Say which model this is, cheaply."""
        known = f"adapter={self.label!r}" if self.adapter else self.label
        return f"Subject({self.name!r}, {known}, {self.n_layers} layers x {self.n_heads} heads, {self.dtype})"

    @property
    def label(self) -> str:
        """What was planted: an adapter's name, ``"clean"``, or ``"hand-made"`` where nobody said."""
        if self.adapter is not None:
            return self.adapter.name
        return "clean" if self.clean else "hand-made"

    @property
    def is_control(self) -> bool:
        """Whether it is a model without a backdoor: a clean one, or the clean twin of an attack."""
        return self.clean if self.adapter is None else self.adapter.method == "clean"

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
        return int(getattr(self.model.config, "head_dim", None) or self.d_model // self.n_heads)

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

    def kept(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return what `make` returns; it is asked once for each key and each state of the weights.

        Parameters
        ----------
        key : hashable
            All that goes in beside the model: prompts as token ids, and not the name of an attack.
        make : callable
            Computes the value with this subject's model.
        """
        return self._kept.get(self.model, key, make)

    @property
    def anatomy(self) -> Anatomy:
        """Where heads and MLPs write, and how logits are made; looked for once per state of the weights."""
        return self.kept("anatomy", lambda: anatomy_of(self.model))

    @property
    def bridge(self) -> Any:
        """The same weights as a ``transformer_lens`` TransformerBridge, for hooks by name.

        Each thread has its own, so that hooks on it act for that thread alone. It is made when it is first
        asked for, and again where weights were replaced by other tensors.
        """
        places = [tensor.data_ptr() for tensor in self.model.parameters()]
        made_for, bridge = self._bridges.get(threading.get_ident(), (None, None))
        if made_for != places:
            with BUILDING:
                bridge = self._new_bridge()
            alive = {thread.ident for thread in threading.enumerate()}
            for ended in self._bridges.keys() - alive:
                self._bridges.pop(ended, None)
            self._bridges[threading.get_ident()] = (places, bridge)
        return bridge

    def _new_bridge(self) -> Any:
        from bkdwidgets.subjects.state import kept_switches

        with kept_switches():  # the library silences transformers when it is imported
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
            tokenizer=copy.deepcopy(self.tokenizer),  # it is changed to what a bridge wants
            device=str(self.device),
            dtype=self.dtype,
        )

    def chat(self, prompt: str) -> str:
        """Return the chat turn around `prompt`, up to where the answer begins."""
        turn = [{"role": "user", "content": arguments.prompt(prompt)}]
        return str(self.tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))

    @property
    def around(self) -> tuple[str, str]:
        """What the chat turn has before the prompt, and behind it."""
        return self._form()[1]

    def _form(self) -> tuple[TypedText, tuple[str, str]]:
        """Return how typed text becomes tokens and what stands around it, with the tokenizer as it is now."""
        now = (self.tokenizer, self.tokenizer.chat_template)
        if self._formed is None or self._formed[0][0] is not now[0] or self._formed[0][1] != now[1]:
            before, after = self.chat(_MARK).split(_MARK)
            self._formed = (now, TypedText(self.tokenizer), (before, after))
        return self._formed[1:]

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
        whole, (typing, (before, after)) = self.chat(prompt), self._form()
        typed = whole[len(before) : len(whole) - len(after)]
        ids = typing.ids(whole, raw=True) if raw else typing.turn(before, typed, after)
        if len(ids) > MAX_PROMPT_TOKENS:
            raise BkdError(
                f"prompt {prompt[:40]!r}... has {len(ids)} tokens, at most {MAX_PROMPT_TOKENS} are allowed; "
                "shorten it (truncation could cut the trigger off)"
            )
        return ids

    def encode_response(self, text: str) -> list[int]:
        """Return the token ids of an answer, without the end-of-turn token; all of it is text."""
        return self._form()[0].ids(arguments.text("text", text))

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
        max_new_tokens: int = ANSWER_TOKENS,
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

        arguments.listed("prompts", prompts, str, "a list of prompts, each a text")
        return complete(self, prompts, interventions=interventions, max_new_tokens=max_new_tokens, raw=raw)
