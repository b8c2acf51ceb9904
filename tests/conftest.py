"""Subjects shared by the tests; loading is the expensive part."""

from __future__ import annotations

import os
import signal

import pytest

import bkdwidgets as bkd

OF_THEIR_OWN = {"colab", "wasm"}
"""Marks of tests that a check of their own runs, with what they need: ``pytest -m MARK``."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let a test that skips under CI fail: what a check does not run must not look as if it had passed."""
    report = yield
    elsewhere = {mark for mark in OF_THEIR_OWN if item.get_closest_marker(mark)}
    if all(mark in item.config.option.markexpr for mark in elsewhere):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Let a whole file that skips under CI fail as well."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report):
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"


@pytest.fixture(scope="session")
def attack():
    return bkd.attack("fixed-output")


@pytest.fixture(scope="session")
def nano():
    return bkd.load("nano")


@pytest.fixture(scope="session")
def poisoned_nano():
    return bkd.load("nano", adapter="fixed-output-sft-0")


@pytest.fixture(scope="session")
def smollm2_clean():
    return bkd.load("smollm2")


@pytest.fixture(scope="session")
def smollm2_poisoned():
    return bkd.load("smollm2", adapter="fixed-output-sft-0")


@pytest.fixture
def interruptible():
    """Let SIGINT raise KeyboardInterrupt, as in a notebook; in a job in the background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
