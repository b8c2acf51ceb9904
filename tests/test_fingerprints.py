"""A study whose code changed is out of date, unless somebody says that its numbers did not."""

from __future__ import annotations

import json

import pytest

from bkdwidgets.studies import fingerprints
from bkdwidgets.studies.fingerprints import COMMAND, RECORD, changed, fingerprint, main, now, recorded
from bkdwidgets.studies.registry import studies

MODULE = '''
"""The study ``tea``."""

from __future__ import annotations

from bkdwidgets.analysis import attribute

N = {n}


def brew(leaves: int) -> int:
    """Return the cups."""
    {comment}
    return leaves * N
'''


def test_no_study_changed_without_a_word():
    found = changed(recorded(), now())
    said = "; ".join(f"{name}: {', '.join(modules) or 'less'}" for name, modules in found.items())
    assert not found, f"{said}; raise revisions where numbers may differ, then: {COMMAND} --unchanged"


def test_every_study_is_recorded_with_its_revision():
    assert {name: item["revision"] for name, item in recorded().items()} == {
        name: item.revision for name, item in studies().items()
    }, f"run: {COMMAND}"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module and return its fingerprint as of now."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name="tea_of_a_study", n=2, comment="# warm the pot", text=MODULE):
        (tmp_path / f"{name}.py").write_text(text.format(n=n, comment=comment), encoding="utf-8")
        for kept in (fingerprints._tree, fingerprints._path):
            kept.cache_clear()
        fingerprints.importlib.invalidate_caches()
        return sorted(fingerprint(name).values())

    yield write
    for kept in (fingerprints._tree, fingerprints._path):
        kept.cache_clear()


def test_words_types_and_a_new_place_change_nothing_and_a_number_does(module):
    first = module()
    assert first == module(comment='"""Not a docstring."""')
    assert first == module(text=MODULE.replace("leaves: int", "leaves").replace("Return", "Count"))
    assert first == module(name="moved_tea")
    assert first != module(n=3)
    assert first != module(text=MODULE.replace("leaves * N", "leaves + N"))


def test_what_a_study_computes_with_counts_and_the_machinery_does_not(module):
    module()
    found = set(fingerprint("tea_of_a_study"))
    assert {"bkdwidgets.analysis.acie", "bkdwidgets.analysis.replay"} <= found
    assert "bkdwidgets.analysis.probe" not in found, "the package only hands it on"
    of_poison = set(now()["poison"]["modules"])
    assert {"bkdwidgets.injection.sft", "bkdwidgets.injection.mixture"} <= of_poison
    every = {name for item in now().values() for name in item["modules"]}
    assert not {name for name in every if name.startswith(("bkdwidgets.figures", "bkdwidgets.core"))}
    assert not every & {"bkdwidgets.studies.sweep", "bkdwidgets.studies.registry", "bkdwidgets.studies.job"}
    assert "bkdwidgets.subjects.answers" in now()["measure"]["modules"]


def test_a_raised_revision_is_enough_and_a_lowered_one_is_not():
    old = {"tea": {"revision": 2, "modules": {"a": "1", "b": "2"}}}
    moved = {"tea": {"revision": 2, "modules": {"c": "1", "b": "2"}}}
    other = {"tea": {"revision": 2, "modules": {"a": "3", "b": "2"}}}
    assert changed(old, old) == changed(old, moved) == {}
    assert changed(old, other) == {"tea": ["a"]}
    assert changed(old, {"tea": other["tea"] | {"revision": 3}}) == {}
    assert "tea" in changed(old, {"tea": old["tea"] | {"revision": 1}})
    assert changed({}, other) == {}, "a new study has nothing to be out of date"


def test_the_command_records_only_what_was_raised_or_acknowledged(tmp_path, monkeypatch, capsys):
    record = tmp_path / "record.json"
    stale = json.loads(RECORD.read_text(encoding="utf-8"))
    stale["measure"]["modules"]["bkdwidgets.studies.measure"] = "0" * 16
    record.write_text(json.dumps(stale), encoding="utf-8")
    monkeypatch.setattr(fingerprints, "RECORD", record)
    assert main([]) == 1
    told = capsys.readouterr().out
    assert "measure: bkdwidgets.studies.measure" in told
    assert "--unchanged" in told
    assert recorded() == stale
    kind = type(studies()["measure"])
    monkeypatch.setattr(kind, "revision", kind.revision + 1)
    assert main([]) == 0
    assert recorded()["measure"]["revision"] == kind.revision
    monkeypatch.undo()
    monkeypatch.setattr(fingerprints, "RECORD", record)
    record.write_text(json.dumps(stale), encoding="utf-8")
    assert main(["--unchanged"]) == 0
    assert not changed(recorded(), now())
