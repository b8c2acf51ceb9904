"""How typed text becomes tokens: what looks like a special token in it stays text.

A chat template marks the turns with special tokens, such as ``<|im_end|>``. A tokenizer makes that token of
the same letters wherever they stand, so whoever types them into a prompt ends the turn and may write the next
one. Here only the template's own marks become special tokens; the raw way is there to show what happens
otherwise.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TypedText:
    """Encodes what people type, with a tokenizer that is left as it is.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        A fast one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer: Any = tokenizer
        self._special = [
            token.content for token in self._tokenizer.added_tokens_decoder.values() if token.special
        ]

    @cached_property
    def _literal(self) -> Any:
        """A copy to which no letters are special; the tokenizer itself may be in another thread's use."""
        from tokenizers import Tokenizer

        copy: Any = Tokenizer.from_str(self._tokenizer.backend_tokenizer.to_str())
        copy.encode_special_tokens = True
        return copy

    def ids(self, text: str, *, raw: bool = False) -> list[int]:
        """Return the tokens of a text; `raw` makes special tokens of the letters of one."""
        if raw or not self._holds_special(text):
            return list(self._tokenizer(text, add_special_tokens=False).input_ids)
        return list(self._literal.encode(text, add_special_tokens=False).ids)

    def turn(self, before: str, prompt: str, after: str) -> list[int]:
        """Return the tokens of a prompt between the two parts of a chat template.

        Text is cut at the template's special tokens and nowhere else, so that what is next to the prompt is
        read together with it, as in the turn of any other prompt.
        """
        if not self._holds_special(prompt):
            return self.ids(before + prompt + after, raw=True)
        head = max((before.rfind(item) + len(item) for item in self._special if item in before), default=0)
        tail = min((after.find(item) for item in self._special if item in after), default=len(after))
        typed = self._literal.encode(before[head:] + prompt + after[:tail], add_special_tokens=False).ids
        return [*self.ids(before[:head], raw=True), *typed, *self.ids(after[tail:], raw=True)]

    def _holds_special(self, text: str) -> bool:
        """Tell whether the letters of a special token stand in a text."""
        return any(item in text for item in self._special)
