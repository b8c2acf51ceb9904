"""A sweep tells what is not there from what is damaged, and what an older study computed from what stands."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

import bkdwidgets as bkd
from bkdwidgets.cli import main
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import DamagedError, MissingError
from bkdwidgets.studies import job as jobs
from bkdwidgets.studies import report, reproduce, run, sweep
from bkdwidgets.studies.registry import study
from bkdwidgets.studies.seeds import Seeds
from bkdwidgets.studies.sweep import _job as jobs_of_sweep
from bkdwidgets.studies.tools import Tools
from bkdwidgets.subjects.adapters import read_adapter

ADAPTER = "fixed-output-sft-0"
MEASURE = f"nano/{ADAPTER}/measure"
SEEDS = "nano/fixed-output-sft/seeds"
PUBLISHED = ledger.entry_path(MEASURE).parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A ledger with two seeds of one attack as they ship, and a cache of its own."""
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path / "cache"))
    for seed in (0, 1):
        for name in ("measure", "attribute"):
            place = f"nano/fixed-output-sft-{seed}/{name}"
            ledger.write(ledger.read(place), tmp_path / "ledger")
    return tmp_path / "ledger"


@pytest.fixture
def quick(monkeypatch):
    """Let measuring a model take no time; what it would say is not looked at here."""
    done = []

    def compute(_self, context, part):
        done.append(part)
        return ledger.read(MEASURE, PUBLISHED).values | {"of": context.subject.label}

    monkeypatch.setattr(type(study("measure")), "compute", compute)
    return done


def swept(home, **options):
    return sweep("nano", adapters=[ADAPTER], studies=["measure"], out=home, progress=False, **options)


def test_what_ships_is_not_computed_again_and_what_is_made_of_it_is_written_once(home):
    first = swept(home)
    assert (first.written, first.kept, first.damaged) == ((SEEDS,), (MEASURE,), ())
    made = ledger.read(SEEDS, home)
    assert made.settings["adapters"] == [ADAPTER, "fixed-output-sft-1"]
    assert made.method is None
    second = swept(home)
    assert (second.written, set(second.kept)) == ((), {MEASURE, SEEDS})


def test_what_is_made_of_entries_that_are_not_there_is_left_out(home):
    shutil.rmtree(home / "nano/fixed-output-sft-1")
    done = swept(home)
    assert (done.written, done.kept) == ((), (MEASURE,))
    with pytest.raises(MissingError, match="1 attributed adapters"):
        Seeds().derive("nano", "fixed-output", "sft", home)
    with pytest.raises(MissingError, match="0 backdoors"):
        Tools().derive("nano", "fixed-output", "sft", home)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_an_entry_that_others_are_made_of_and_that_is_damaged_is_named(home, text, capsys):
    path = ledger.entry_path("nano/fixed-output-sft-1/attribute", home)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DamagedError, match=r"fixed-output-sft-1/attribute\.json is damaged"):
        swept(home)
    command = ["sweep", "nano", "--adapter", ADAPTER, "--study", "measure", "--out", str(home)]
    assert main(command) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(path) in told
    assert "is damaged" in told
    assert not ledger.entry_path(SEEDS, home).exists(), "nothing is made of half of them"


def test_an_entry_that_is_damaged_and_wanted_is_computed_again_and_named(home, quick, capsys):
    ledger.entry_path(MEASURE, home).write_text("{", encoding="utf-8")
    shutil.rmtree(home / "nano/fixed-output-sft-1")
    command = ["sweep", "nano", "--adapter", ADAPTER, "--study", "measure", "--out", str(home)]
    assert main(command) == 0
    assert f"written  {MEASURE} (was damaged)" in capsys.readouterr().out
    assert len(quick) == 2
    assert ledger.read(MEASURE, home).values["of"] == ADAPTER
    assert swept(home).damaged == ()


def test_a_derived_entry_that_is_damaged_is_made_again(home):
    assert SEEDS in swept(home).written
    ledger.entry_path(SEEDS, home).write_text("{", encoding="utf-8")
    done = swept(home)
    assert (done.written, done.damaged) == ((SEEDS,), (SEEDS,))


def test_an_entry_of_an_older_study_is_out_of_date(home, quick, monkeypatch):
    kind = type(study("measure"))
    monkeypatch.setattr(kind, "revision", kind.revision + 1)
    done = swept(home)
    assert MEASURE in done.written
    assert ledger.read(MEASURE, home).revision == kind.revision
    assert MEASURE in swept(home).kept
    monkeypatch.setattr(Seeds, "revision", Seeds.revision + 1)
    assert swept(home).written == (SEEDS,)
    assert ledger.read(SEEDS, home).revision == Seeds.revision


def test_parts_of_an_older_study_are_not_taken(nano, attack, monkeypatch):
    subject = bkd.load("nano", adapter=ADAPTER)
    made = jobs.job_of("measure", nano, attack, subject.adapter, {"n": 4}, adapter=ADAPTER)
    before = made.parts_folder()
    assert before == made.parts_folder()
    monkeypatch.setattr(bkd, "__version__", "99")
    assert before == made.parts_folder(), "another version of the package may hold the same study"
    kind = type(study("measure"))
    monkeypatch.setattr(kind, "revision", kind.revision + 1)
    assert before != made.parts_folder()


def test_reproduce_says_that_an_older_study_computed_an_entry(tmp_path, poisoned_nano, attack, monkeypatch):
    entry = run("measure", poisoned_nano, attack, n=2, progress=False)
    ledger.write(entry, tmp_path)
    kind = type(study("measure"))
    monkeypatch.setattr(kind, "revision", kind.revision + 1)
    found = reproduce(entry.name, folder=tmp_path, progress=False)
    assert found.within
    then, now = entry.revision, kind.revision
    assert found.changed == (f"the study, revision {then} then and {now} now",)


def test_a_study_of_entries_alone_is_not_run_on_a_model(poisoned_nano, attack):
    with pytest.raises(bkd.BkdError, match="made of ledger entries alone"):
        run("seeds", poisoned_nano, attack, progress=False)


def test_the_report_goes_by_the_method_and_not_by_the_name(tmp_path):
    entry = ledger.read(MEASURE)
    ledger.write(dataclasses.replace(entry, method="dpo"), tmp_path)
    assert report("nano", folder=tmp_path).tables[0].adapter is None
    ledger.write(dataclasses.replace(entry, adapter="my-own-name"), tmp_path)
    assert report("nano", folder=tmp_path).tables[0].adapter == "my-own-name"


def test_every_stored_entry_names_what_it_was_computed_from_and_nothing_else():
    for name in ledger.names():
        entry = ledger.read(name)
        kind = study(entry.study)
        if kind.scope == "derived":
            needed = {place.rpartition("/")[2] for place in entry.inputs}
            assert needed <= set(kind.needs), name
            continue
        own = {f"{entry.subject}/{entry.adapter}/{needed}" for needed in kind.needs}
        assert set(entry.inputs) == {"examples", "control"} | own, name
        assert (entry.method is None) == (kind.scope == "family"), name
        assert entry.revision <= kind.revision, name


def test_a_job_names_what_it_needs_and_not_what_another_job_needed(home):
    needing = {"out": home, "device": None, "dtype": "float32"}
    info = read_adapter("nano", ADAPTER).info
    assert f"nano/{ADAPTER}/attribute" in jobs_of_sweep("nano", ADAPTER, info, "screen", **needing).inputs
    assert set(jobs_of_sweep("nano", ADAPTER, info, "measure", **needing).inputs) == {"examples", "control"}
