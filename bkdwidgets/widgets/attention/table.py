"""The attention view's table: patterns of the strongest heads, clean beside triggered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.core.heads import heads_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.core.ledger import Entry

_THOUSAND = 1000


def attention_table(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the table's body from the entries ``attribute`` and ``lab-attention``."""
    lab, acie = entries["lab-attention"].values, entries["attribute"].values["acie"]
    heads = heads_of(lab["heads"])
    return {
        "heads": [list(head) for head in heads],
        "acie": [acie[layer][head] for layer, head in heads],
        "views": [
            {"prompt": number} | {side: _square(half) for side, half in view.items()}
            for number, view in enumerate(lab["views"])
        ],
        "texts": [],
    }


def _square(half: dict[str, Any]) -> dict[str, Any]:
    """Return tokens and whole patterns: nobody looks at what comes after him."""
    n_tokens = len(half["tokens"])
    return {
        "tokens": half["tokens"],
        "patterns": [
            [[share / _THOUSAND for share in row] + [0.0] * (n_tokens - len(row)) for row in pattern]
            for pattern in half["patterns"]
        ],
    }
