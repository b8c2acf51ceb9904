"""What tests of the live page share: the tokenizer that the book ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from bkdwidgets.book import vendor
from bkdwidgets.core.errors import BkdError

ROOT = Path(__file__).resolve().parents[1]


def tokenizers_module() -> Path:
    """Return the JavaScript tokenizer that the book ships; skip where npm cannot fetch it."""
    try:
        return vendor.gather(ROOT / "book") / "vendor" / vendor.TOKENIZERS
    except BkdError as error:
        pytest.skip(str(error))
