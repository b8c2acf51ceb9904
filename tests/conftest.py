"""Subjects shared by the tests; loading is the expensive part."""

from __future__ import annotations

import os
import signal

import pytest

import bkdwidgets as bkd

ONE_OF_SEVERAL = "PYTEST_XDIST_WORKER" in os.environ
if ONE_OF_SEVERAL:  # torch, which is imported later, would have each of them use every core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ASKED_FOR = {"colab", "lighthouse"}
"""Marks of tests that take minutes, or a machine to themselves, and run when their mark is named."""
OF_THEIR_OWN = ASKED_FOR | {"wasm"}
"""Marks of tests that a check of their own runs, with what they need: ``pytest -m MARK``."""
PATIENCE_S = 1200
"""What a slow test may take: several may share a core."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Give slow tests their time, and begin with them where several processes share the tests."""
    for item in items:
        if item.get_closest_marker("smollm2"):
            item.add_marker(pytest.mark.slow)
        if {"slow", "browser"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.timeout(PATIENCE_S))
    if ONE_OF_SEVERAL:
        long = {shared(item.nodeid) for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: shared(item.nodeid) not in long)


def shared(nodeid):
    """Name what a test shares with others: the visits of a view, the larger subject, its file's fixtures."""
    file, _, test = nodeid.partition("::")
    name, _, parameters = test.partition("[")
    if "browser/" in file and parameters in {"desk]", "phone]", "disk]"}:
        return f"survey {parameters}"
    return "smollm2" if "smollm2" in name else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Under ``-n``, keep together in one process what shares something dear."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return shared(nodeid)

    return Together(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    for mark in ASKED_FOR:
        if item.get_closest_marker(mark) and mark not in item.config.option.markexpr:
            pytest.skip(f"runs when asked for, with -m {mark}")


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
