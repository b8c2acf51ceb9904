"""Nano's tokenizer: byte-level pairs learned from the training text, and the chat format.

A chat turn is ``<|user|>question<|assistant|>answer<|end|>``. The tokens begin as the 256 bytes, so any
text can be encoded and comes back unchanged; digits are never merged, so every number is spelled out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PAD, END, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"
VOCABULARY = 1024
MAX_POSITIONS = 256

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|user|>{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|end|>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(texts: Iterable[str], *, size: int = VOCABULARY) -> Tokenizer:
    """Learn the byte pairs of a text.

    Parameters
    ----------
    texts : iterable of str
        The training text, questions and answers alike.
    size : int
        Number of tokens, the four chat marks and 256 bytes included.

    Returns
    -------
    Tokenizer
        The same for the same text.
    """
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """Read a tokenizer file and give it the chat format.

    Raises
    ------
    BkdError
        If the file is missing or is not a tokenizer.
    """
    try:
        core = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BkdError(f"can not read {path}: {error.strerror}; run `bkdwidgets train-nano`") from error
    except Exception as error:  # tokenizers raises the bare class
        raise BkdError(f"{path} is not a tokenizer file: {error}") from error
    return wrap_tokenizer(core)


def wrap_tokenizer(core: Tokenizer) -> PreTrainedTokenizerFast:
    """Give a bare tokenizer its chat marks and template."""
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=MAX_POSITIONS,
    )
