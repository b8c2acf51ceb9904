"""Subjects shared by the tests; loading is the expensive part."""

from __future__ import annotations

import pytest

import bkdwidgets as bkd


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
