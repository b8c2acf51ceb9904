"""Under CI a test that skips fails, as what was not run has not passed; and which tests share a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.fixture
def npm():
    pytest.skip("no npm")

def test_needs_npm(npm): ...

@pytest.mark.wasm
def test_has_a_check_of_its_own():
    pytest.skip("no compiler")

@pytest.mark.xfail
def test_fails_as_expected():
    assert False
"""
ASKED_FOR = "import pytest\n@pytest.mark.lighthouse\ndef test_takes_the_machine(): ..."
SHARING = """
import os, pathlib, pytest

@pytest.fixture(scope="module")
def dear():
    pathlib.Path(__file__).with_name(f"made-by-{os.getpid()}").touch()

@pytest.mark.parametrize("number", range(8))
def test_shares(dear, number): ...
"""
MISSING = 'import pytest; pytest.importorskip("no_such_module")'
MARKS = "[pytest]\nmarkers =\n  wasm\n  lighthouse\n  timeout"


@pytest.fixture
def outcome(tmp_path, monkeypatch):
    """Return a function that runs pytest on the tests above and returns what it says at its end."""
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text(MARKS, encoding="utf-8")

    def run(source: str, *options: str, ci: bool) -> str:
        (tmp_path / "test_made_up.py").write_text(source, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, tmp_path]
        done = subprocess.run(
            command, env=kept | ({"CI": "true"} if ci else {}), capture_output=True, text=True, check=False
        )
        return done.stdout.splitlines()[-1]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_a_skip_fails_under_ci_alone(outcome, processes):
    assert "1 skipped, 1 xfailed, 1 error" in outcome(TESTS, *processes, ci=True)
    assert "2 skipped, 1 xfailed" in outcome(TESTS, *processes, ci=False)


@pytest.mark.slow
def test_what_is_asked_for_runs_when_it_is(outcome):
    assert "1 skipped" in outcome(ASKED_FOR, ci=True)
    assert "1 passed" in outcome(ASKED_FOR, "-m", "lighthouse", ci=True)


def test_what_has_a_check_of_its_own_fails_there(outcome):
    assert "1 failed, 2 deselected" in outcome(TESTS, "-m", "wasm", ci=True)


def test_a_file_that_is_left_out_fails_under_ci(outcome):
    assert "1 error" in outcome(MISSING, ci=True)


@pytest.mark.slow
def test_what_the_tests_of_a_file_share_is_made_by_one_process(outcome, tmp_path):
    assert "8 passed" in outcome(SHARING, "-n", "2", ci=True)
    assert len(list(tmp_path.glob("made-by-*"))) == 1
