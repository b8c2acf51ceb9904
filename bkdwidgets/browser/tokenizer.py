r"""The subject's tokenizer, written down so that JavaScript cuts text where Python does.

The byte-level step of a tokenizer cuts text by a regular expression that is built into the library, and
``\s`` is not the same set of characters in JavaScript as in Rust (the byte order mark, the next-line sign).
Written out as a step of its own, the same expression is translated by the JavaScript library with care,
and both cut every text alike.
"""

from __future__ import annotations

import json
from typing import Any

_BYTE_LEVEL_CUT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def web_tokenizer(text: str) -> dict[str, Any]:
    """Return a ``tokenizer.json`` that encodes alike and says how it cuts.

    Parameters
    ----------
    text : str
        A tokenizer with a byte-level step, as the library ``tokenizers`` writes it.
    """
    description: dict[str, Any] = json.loads(text)
    first = description["pre_tokenizer"]
    steps = first["pretokenizers"] if first["type"] == "Sequence" else [first]
    spelled = [part for step in steps for part in _spelled_out(step)]
    return description | {"pre_tokenizer": {"type": "Sequence", "pretokenizers": spelled}}


def _spelled_out(step: dict[str, Any]) -> list[dict[str, Any]]:
    if step["type"] != "ByteLevel" or not step["use_regex"]:
        return [step]
    cut = {
        "type": "Split",
        "pattern": {"Regex": _BYTE_LEVEL_CUT},
        "behavior": "Isolated",
        "invert": False,
    }
    return [cut, step | {"use_regex": False}]
