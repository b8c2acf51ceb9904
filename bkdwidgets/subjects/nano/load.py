"""Read nano from its folder: the model in float32, and its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import data_dir, sha256_of
from bkdwidgets.subjects.nano.tokenizer import load_tokenizer


def nano_dir() -> Path:
    """Return the folder of the shipped nano."""
    return data_dir() / "nano"


def weights_path() -> Path:
    """Return the file of the shipped nano's weights."""
    return nano_dir() / "model.safetensors"


def weights_sha256() -> str:
    """Return the hash of that file."""
    return sha256_of(weights_path())


def load_nano(folder: str | Path | None = None) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Load nano.

    Parameters
    ----------
    folder : str or Path, optional
        A folder written by :func:`bkdwidgets.subjects.nano.train`. None: the shipped one.

    Returns
    -------
    tuple
        The model (float32, eager attention, evaluation mode, on the CPU) and the tokenizer, whose chat
        template is ``<|user|>question<|assistant|>answer<|end|>``.

    Raises
    ------
    BkdError
        If a file is missing, damaged, or does not fit the others.
    """
    home = nano_dir() if folder is None else Path(folder)
    tokenizer = load_tokenizer(home / "tokenizer.json")
    config = _read_config(home / "config.json")
    with torch.device("meta"):  # first weights would be drawn, from the generator that the reader draws from
        model = new_model(config)
    weights = home / "model.safetensors"
    try:
        stored = load_file(weights)
    except FileNotFoundError as error:
        raise BkdError(f"can not read {weights}: no such file; run `bkdwidgets train-nano`") from error
    except (SafetensorError, OSError) as error:
        raise BkdError(f"{weights} is damaged: {error}; run `bkdwidgets train-nano`") from error
    # The output matrix is the embedding itself and is not stored a second time.
    state = {name: tensor.to(torch.float32) for name, tensor in stored.items()}
    try:
        outcome = model.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        raise BkdError(f"{weights} does not fit {home / 'config.json'}: shapes differ") from error
    missing = sorted(set(outcome.missing_keys) - {"lm_head.weight"})
    if missing or outcome.unexpected_keys:
        strange = (missing or outcome.unexpected_keys)[0]
        raise BkdError(f"{weights} does not fit {home / 'config.json'}: tensor {strange!r}")
    model.tie_weights()
    model.model.rotary_emb = LlamaRotaryEmbedding(config)  # its buffers are in no file
    return model.eval(), tokenizer


def new_model(config: LlamaConfig) -> LlamaForCausalLM:
    """Return an untrained model with eager attention in float32."""
    config._attn_implementation = "eager"  # noqa: SLF001  (transformers offers no other way for a bare config)
    return LlamaForCausalLM(config).float()


def _read_config(path: Path) -> LlamaConfig:
    try:
        return LlamaConfig(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BkdError(f"can not read {path}: {error.strerror}; run `bkdwidgets train-nano`") from error
    except (TypeError, ValueError) as error:
        raise BkdError(f"{path} is not a model configuration: {error}") from error
