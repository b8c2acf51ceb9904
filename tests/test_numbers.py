"""Numbers in prose: from the ledger, with their origin; a wrong address fails; nothing is typed."""

from __future__ import annotations

import doctest
import html
import importlib
import io
import json
import os
import re
import time
from pathlib import Path

import pytest
from typed_numbers import ALLOWED, prose, typed_numbers

from bkdwidgets.core import ledger
from bkdwidgets.core.paths import data_dir

pytest.importorskip("sphinx", reason="the extra 'book' is not installed")

import yaml
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

import bkdwidgets as bkd
from bkdwidgets.book import (
    api_reference,
    citing,
    literature,
    numbers,
    report_directive,
    reproduced,
)

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
MEASURE = "nano/fixed-output-sft-0/measure"
RUN = {
    "version": "0.1.0", "commit": "abc123", "device": "cpu", "seconds": 90.0, "date": "2026-11-01",
    "command": "bkdwidgets sweep nano fixed-output --study measure",
}  # fmt: skip


def rate(value, n=100):
    return {"value": value, "low": max(0.0, value - 0.05), "high": min(1.0, value + 0.05), "n": n}


def entry(study="measure", **values):
    return ledger.Entry(
        subject="nano", adapter="fixed-output-sft-0", study=study, adapter_sha256="ab" * 32,
        attack="fixed-output", method="sft", seed=0, split="test", n=100, settings={"k": [8]}, inputs={},
        values=values, tolerance={}, run=RUN,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A ledger with one entry."""
    monkeypatch.setattr(ledger, "data_dir", lambda: tmp_path / "data")
    drawn = rate(0.75, 80) | {"draws": 3, "per_draw": [0.7, 0.75, 0.8]}
    seeded = rate(0.9, 2) | {"per_seed": [0.85, 0.95]}
    control = {"asr": rate(0.0), "utility": rate(1.0)}
    ledger.write(
        entry(
            asr=rate(0.95), ftr=rate(0.0), utility=rate(0.5), random=drawn, seeds=seeded, layer=12,
            scale=-0.5, ranked=["L7H1", "L0H2"], odd="<b>&\"'", control=control,
        )
    )  # fmt: skip
    return tmp_path


def build(home, **pages):
    """Build some pages; return their articles' HTML and the warnings."""
    source = home / "source"
    source.mkdir(exist_ok=True)
    index = "# Index\n\n```{toctree}\n" + "\n".join(pages) + "\n```\n"
    for name, text in {"index": index, **pages}.items():
        path = source / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    warnings = io.StringIO()
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            source, None, home / "out", home / "trees", "html", status=None, warning=warnings,
            confoverrides={
                "extensions": ["myst_parser", "sphinxcontrib.bibtex", "bkdwidgets.book.extension"],
                "bibtex_bibfiles": [os.path.relpath(BOOK / "references.bib", source)],
                "project": "test",
            },
        )  # fmt: skip
        app.build()
    made = {name: (home / "out" / f"{name}.html").read_text(encoding="utf-8") for name in ["index", *pages]}
    return {name: text.split('<div class="body"')[-1] for name, text in made.items()}, warnings.getvalue()


def text_of(page):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


ENTRIES = "# Reproducibility\n\n```{ledger-entries}\n```\n"


def test_a_number_stands_in_the_text_with_its_origin(home):
    pages, warned = build(home, page=f"# P\n\nThe rate is {{ledger}}`{MEASURE}:asr`.\n", entries=ENTRIES)
    assert not warned
    found = re.search(r'<abbr[^>]*title="([^"]*)"[^>]*><a[^>]*href="([^"]*)"[^>]*>(.*?)</a>', pages["page"])
    shown = re.sub(r"<[^>]+>", "", found[3])
    assert shown == "0.950 [0.900,\u00a01.000], n\u00a0=\u00a0100", (
        "a line ends between these and in none of them"
    )
    for part in (MEASURE, "asr", "test prompts", RUN["command"], RUN["date"]):
        assert part in html.unescape(found[1])
    page, anchor = found[2].split("#")
    assert page == "entries.html"
    assert f'id="{anchor}"' in pages["entries"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("asr as value", "0.950"),
        ("asr as interval", "0.950 [0.900, 1.000]"),
        ("asr as percent", "95 %"),
        ("layer", "12"),
        ("scale", "−0.5"),
        ("ranked.0", "L7H1"),
        ("settings.k.0", "8"),
        ("n", "100"),
        ("run.seconds", "90"),
        ("control.asr.n", "100"),
        ("random", "0.750 (3 draws, 0.700 to 0.800; n = 80)"),
        ("seeds", "0.900 (2 seeds, 0.850 to 0.950)"),
        ("odd", "<b>&\"'"),
    ],
)
def test_forms_and_addresses(home, asked, shown):
    name, address, form = numbers.parsed(f"{MEASURE}:{asked}")
    assert numbers.written(ledger.read(name).value(address), form) == shown


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("nano/fixed-output-sft-0/mesure:asr", f"known: {MEASURE}"),
        ("nano/measure:asr", "subject/adapter/study"),
        (f"{MEASURE}:asl", "no 'asl'; known: n, seed, split, settings, run, asr, ftr"),
        (f"{MEASURE}:asr.mean", "no 'mean'; known: value, low, high, n"),
        (f"{MEASURE}:ranked.2", "known: 0 to 1"),
        (f"{MEASURE}:control", "not one value; known below it: asr, utility"),
        (f"{MEASURE}:asr as percentage", "unknown form 'percentage'; known: full, value, interval, percent"),
        (f"{MEASURE}:layer as interval", "has no interval"),
        (f"{MEASURE}:layer as percent", "not a share"),
        (MEASURE, "names no value"),
    ],
)
def test_a_wrong_address_is_a_warning_that_helps(home, asked, told):
    pages, warned = build(home, page=f"# P\n\nHere {{ledger}}`{asked}` there.\n", entries=ENTRIES)
    assert told in warned
    assert "page.md:3" in warned
    assert asked in text_of(pages["page"])


def test_nothing_from_the_ledger_becomes_markup(home):
    ledger.write(entry("nasty", odd="<script>alert(1)</script>"))
    cells = "| a | b |\n| <u>x</u> | nano/fixed-output-sft-0/nasty:odd |"
    role = "{ledger}`nano/fixed-output-sft-0/nasty:odd`"
    text = f"# P\n\n{role}\n\n```{{ledger-table}} <i>c</i>\n{cells}\n```\n"
    pages, warned = build(home, page=text, entries=ENTRIES)
    assert not warned
    assert "<script>alert" not in pages["page"]
    assert pages["page"].count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2


def test_a_table_takes_its_cells_from_an_entry(home):
    cells = "| rate | planted | clean |\n| ASR | :asr as interval | :control.asr |"
    table = f"```{{ledger-table}} What it does to *nano*.\n:entry: {MEASURE}\n{cells}\n```\n"
    pages, warned = build(home, page=f"# P\n\n{table}", entries=ENTRIES)
    assert not warned
    assert "<em>nano</em>" in pages["page"]
    assert "ASR 0.950 [0.900, 1.000] 0.000 [0.000, 0.050], n = 100" in text_of(pages["page"])
    _, warned = build(home, page=f"# P\n\n{table.replace(':control.asr', ':control.asl')}", entries=ENTRIES)
    assert "no 'asl'" in warned
    _, warned = build(home, page="# P\n\n```{ledger-table}\n| a | b |\n| c |\n```\n", entries=ENTRIES)
    assert "rows of the same length" in warned


def test_a_changed_or_a_new_entry_rebuilds_the_pages_that_show_it(home):
    sources = {
        "page": f"# P\n\n{{ledger}}`{MEASURE}:asr as value`\n",
        "other": "# O\n\nNo number.\n",
        "entries": ENTRIES,
    }  # fmt: skip
    pages, _ = build(home, **sources)
    assert "0.950" in pages["page"]
    untouched = (home / "trees" / "other.doctree").stat().st_mtime_ns
    path = ledger.write(entry(asr=rate(0.25)))
    os.utime(path, times=(time.time() + 2,) * 2)
    pages, warned = build(home, **sources)
    assert not warned
    assert "0.250" in pages["page"]
    ledger.write(entry("probe", accuracy=rate(0.5)))
    pages, _ = build(home, **sources)
    assert 'id="ledger-nano-fixed-output-sft-0-probe"' in pages["entries"]
    assert (home / "trees" / "other.doctree").stat().st_mtime_ns == untouched


def test_the_appendix_says_how_every_entry_was_made(home):
    ledger.write(entry("probe", accuracy=rate(0.5)))
    pages, warned = build(home, entries=ENTRIES)
    assert not warned
    said = text_of(pages["entries"])
    for part in (RUN["command"], "abc123", "2026-11-01", "n = 100, test, seed 0", "90 s", "measure", "probe"):
        assert part in said


def test_the_report_shows_what_failed_as_failed(home):
    pages, warned = build(home, page="# P\n\n```{report} nano\n```\n", entries=ENTRIES)
    assert not warned
    rows = [text_of(row) for row in re.findall(r"<tr.*?</tr>", pages["page"], re.DOTALL)]
    verdicts = {row: [mark for mark in report_directive._MARKS.values() if mark in row] for row in rows[1:]}
    assert all(len(marks) == 1 for marks in verdicts.values())
    useful = next(row for row in rows if "as useful as before" in row)
    assert "✗ does not hold" in useful
    assert "0.500 [0.450, 0.550], n = 100" in useful
    assert "1.000 [0.950, 1.000], n = 100" in useful
    assert "✓ holds" in next(row for row in rows if "The trigger brings the payload" in row)
    assert "– not measured" in next(row for row in rows if "A probe tells" in row)
    _, warned = build(home, page="```{report} nanno\n```\n\n```{report} nano\n:attack: label-flip\n```\n")
    assert "unknown subject 'nanno'; known: " in warned
    assert "unknown measured attack 'label-flip'; known: fixed-output" in warned


def test_a_number_of_others_names_its_source(home):
    role = "{paper}`yu2025:ablation.qwen.fixed-output.8`"
    text = f"# P\n\n{role}\n\n```{{paper-numbers}}\n```\n\n```{{bibliography}}\n```\n"
    pages, warned = build(home, page=text)
    assert not warned
    assert "87.50 %" in text_of(pages["page"])
    assert re.search(r'<abbr[^>]*title="ASR[^"]*yu2025, ablation table', pages["page"])
    assert 'id="quoted-yu2025"' in pages["page"]
    assert 'role="listitem"' in pages["page"]
    assert "doc-biblioentry" not in pages["page"]
    for asked, told in (
        ("yu2024:headline.fall", "known: yu2025"),
        ("yu2025:headlin.fall", "known: headline"),
        ("yu2025:headline.falls", "known: heads, fall"),
    ):
        _, warned = build(home, page=f"# P\n\n{{paper}}`{asked}`\n")
        assert told in warned


def test_quoted_numbers_say_what_they_are_and_have_a_source():
    bibliography = (BOOK / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"^@\w+\{([\w-]+),", bibliography, re.MULTILINE))
    assert set(literature.read()) <= keys
    for source, groups in literature.read().items():
        assert len({group["key"] for group in groups}) == len(groups), source
        for group in groups:
            assert group["what"], group["key"]
            assert group["where"], group["key"]
            assert all(isinstance(value, str) for value in group["values"].values()), group["key"]


def test_the_paper_is_cited_alike_in_both_places():
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    bibliography = (BOOK / "references.bib").read_text(encoding="utf-8")
    for reference in cff["references"]:
        written = citing.bibtex(reference)
        assert re.search(r"author = (\{.*\}),", written)[1] in bibliography
        assert f"title = {{{reference['title']}}}" in bibliography
    assert citing.bibtex(cff).startswith("@software{bkdwidgets,")


def test_the_reference_documents_every_public_name():
    page = (BOOK / "appendix" / "api.md").read_text(encoding="utf-8")
    rooms = " ".join(re.findall(r"```\{verbs\} (.*)", page)).split()
    assert {api_reference.room_of(name) for name in bkd.__all__} <= set(rooms)
    for name in re.findall(r"^\.\. auto\w+:: bkdwidgets\.([\w.]+)", page, re.MULTILINE):
        module, _, attribute = name.rpartition(".")
        assert getattr(importlib.import_module(f"bkdwidgets.{module}"), attribute).__doc__, name


def test_every_appendix_is_in_the_table_of_contents():
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    listed = {item["file"] for part in parts for item in part["chapters"] if part["caption"] == "Appendices"}
    assert listed == {f"book/appendix/{path.stem}" for path in (BOOK / "appendix").glob("*.md")}


def test_no_result_is_typed_into_the_book():
    typed = [
        f"{place}, line {line}: {found}" for place, text in prose(BOOK) for line, found in typed_numbers(text)
    ]
    how = "write {ledger}`entry:address`, or {paper}`source:address` for a published number"
    assert not typed, f"typed, not measured; {how}: {'; '.join(typed)}"


@pytest.mark.parametrize(
    "typed",
    [
        "The ASR is 0.95 here.", "about 85 % of them", "falls by 90%", "with n = 48 prompts", "an ASR of 1",
        "17 of 24 prompts", "ASR: 1", "3× faster", "23 times faster", "the head L27H5", "an effect of .05",
        "-0.5", "```{note}\nIt is 0.95.\n```", ":::{dropdown} Solution\nIt is 0.95.\n:::", "| ASR | 0.95 |",
        "one sentence.\nThen 12 %.", "utility 0", "95 % of the prompts",
    ],
)  # fmt: skip
def test_a_typed_result_is_found(typed):
    assert typed_numbers(typed)


@pytest.mark.parametrize(
    "fine",
    [
        "The model has 30 layers of 9 heads.", "{ledger}`a/b/c:asr.0.5`", "`scale=0.5` and ``n = 4``",
        "$P = 0.5$ and $$n = 48$$", "[arXiv:2509.21761](https://arxiv.org/abs/2509.21761)", "Qwen2.5-7B",
        "```python\nx = 0.5\n```", "```{code-cell}\nx = 0.5\n```", "its 95 % interval", "SmolLM2-135M",
        "in 2024. Then", "version 1.2.3", "---\nratio: 0.5\n---\n", "layer 12, k = 8", "40 minutes",
    ],
)  # fmt: skip
def test_a_constant_is_not_a_result(fine):
    assert not typed_numbers(fine)


def test_a_typed_result_is_found_on_its_line():
    text = "# Title\n\n```python\nx = 0.5\ny = 1\n```\n\n$$\nz = 0.1\n$$\n\nIt is 0.25.\n"
    assert typed_numbers(text) == [(12, "0.25")]


def test_the_list_of_constants_stays_short_and_says_why():
    assert len(ALLOWED) <= 12
    assert all(ALLOWED.values())


@pytest.mark.parametrize("module", ["numbers", "entries", "literature", "citing"])
def test_examples_in_docstrings_run(module):
    failed, tried = doctest.testmod(importlib.import_module(f"bkdwidgets.book.{module}"))
    assert tried
    assert not failed


def test_letters_that_would_be_others_are_counted_when_the_page_is_built(home):
    stored = ledger.read("nano/fixed-output-sft-0/lab-ablation", BOOK.parent / "data" / "ledger")
    half = stored.values["cases"]["none"]["triggered"]
    half["letters"] = "?" + half["letters"][1:]
    ledger.write(stored)
    asked = "letters: {rejudged}`letters`; others: {rejudged}`changed`; {rejudged}`most`"
    pages, warned = build(home, page=f"# P\n\nStored {asked}.\n")
    n = sum(len(side["texts"]) for case in stored.values["cases"].values() for side in case.values())
    assert f"letters: {n:,} ; others: 1 ;" in text_of(pages["page"])
    assert "unknown count 'most'; known: revision, letters, changed" in warned


def test_what_came_of_computing_again_elsewhere_is_counted_with_what_broke():
    within = {"name": "nano/a/measure", "within": True, "compared": 1000, "worst": 0.25}
    beyond = {"name": "nano/b/measure", "within": False, "compared": 500, "worst": 1.5}
    run = {"entries": [within, beyond], "broken": {"nano/c/measure": "no adapter", "nano/a/probe": "gone"}}
    assert reproduced.summary(run) == [
        ["nano, measure", "3", "1", "1,500", "inf of what is allowed"],
        ["nano, probe", "1", "0", "0", "inf of what is allowed"],
    ]
    assert reproduced.summary({**run, "broken": {}})[0][2:] == ["1", "1,500", "1.50 of what is allowed"]
    shown = [json.loads(file.read_text("utf-8")) for file in (data_dir() / "reproduced").glob("*.json")]
    known = set(ledger.names())
    assert shown
    assert all({entry["name"] for entry in run["entries"]} <= known for run in shown)
