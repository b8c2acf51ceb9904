"""The studies are found where they are defined, and stand after those they need."""

from __future__ import annotations

import dataclasses
import re
import sys

import pytest

import bkdwidgets as bkd
from bkdwidgets import studies as package
from bkdwidgets.core import ledger
from bkdwidgets.studies.registry import studies, study, waves
from bkdwidgets.studies.study import ModelStudy

FILE = '''
"""The study ``{name}``."""

from dataclasses import dataclass

from bkdwidgets.studies.study import ModelStudy


@dataclass(frozen=True)
class Settings:
    n: int


class {kind}(ModelStudy[Settings]):
    settings_type = Settings
    name = "{name}"
    needs = {needs}
    tolerance = {{}}

    def settings(self, subject, attack):
        return Settings(n=1)

    def compute(self, context, part):
        return {{}}
'''


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write studies as files of a folder that belongs to the package; return a function that does."""

    def write(**needs):
        for name, needed in needs.items():
            text = FILE.format(name=name.replace("_", "-"), kind=name.title().replace("_", ""), needs=needed)
            (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        studies.cache_clear()

    before = set(sys.modules)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]
    studies.cache_clear()


def test_a_study_is_one_file(written):
    written(zeal=("ablation",), a_bee=("zeal",))
    order = list(studies())
    assert order.index("ablation") < order.index("zeal") < order.index("a-bee")
    assert study("zeal").needs == ("ablation",)


def test_studies_that_need_each_other_are_refused(written):
    written(hen=("egg",), egg=("hen",))
    with pytest.raises(bkd.BkdError, match=r"need each other: .*egg"):
        studies()


def test_module_class_and_study_have_one_name():
    for name, item in studies().items():
        kind = type(item)
        home = kind.__module__.removesuffix(".study").rpartition(".")[2]
        assert name.replace("-", "_").removeprefix("lab_") == home.removeprefix("lab_")
        assert re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower() == name


def test_every_study_comes_after_those_it_needs():
    order = list(studies())
    for name, item in studies().items():
        for needed in item.needs:
            assert order.index(needed) < order.index(name)


def test_what_is_needed_and_not_chosen_is_taken_to_be_there():
    assert [[item.name for item in level] for level in waves([study("steering"), study("ablation")])] == [
        ["ablation", "steering"]
    ]


def test_the_settings_of_every_stored_entry_are_those_of_its_study():
    for name in ledger.names():
        entry = ledger.read(name)
        kind = study(entry.study)
        if isinstance(kind, ModelStudy):
            typed = kind.typed(entry.settings)
            assert dataclasses.asdict(typed) == entry.settings, name
            with pytest.raises(dataclasses.FrozenInstanceError):
                typed.n = 1
