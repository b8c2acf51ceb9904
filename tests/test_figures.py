"""Figures of the ledger: every stored result draws, says what it is, and stays text."""

from __future__ import annotations

import copy
import dataclasses
import html
import json
import re
import subprocess
import sys

import pytest
from docutils import nodes

import bkdwidgets as bkd
from bkdwidgets import figures
from bkdwidgets.core import ledger, theme
from bkdwidgets.figures import template
from bkdwidgets.figures.entries import shows
from bkdwidgets.studies import studies

MEASURE = "nano/fixed-output-sft-0/measure"
NASTY = "<script>alert(1)</script><b>&\"'"
PUBLISHED = ledger.entry_path(MEASURE).parents[2]
DRAWN = [
    (name, show)
    for name in ledger.names()
    for show in shows().get(name.rpartition("/")[2], ())
    if not re.search(r"-[1-9]\d*/", name)  # the other seeds hold the same studies again
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty ledger to write entries into."""
    monkeypatch.setattr(ledger, "data_dir", lambda: tmp_path)
    return tmp_path


def data_of(figure) -> dict:
    return json.loads(figure.to_json())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "show"), DRAWN)
def test_every_stored_entry_draws(name, show):
    drawn = bkd.figure(name, show=show, title="A title", note="What to see.")
    assert data_of(drawn.figure)["data"]
    assert drawn.caption.startswith("What to see. ")
    assert re.search(r"n = \d+", drawn.caption), drawn.caption
    assert re.search("control", drawn.caption, re.IGNORECASE) or show == "agreement", drawn.caption
    assert len(re.findall(r"\d", drawn.alt)) >= 8, "the words carry values"
    assert "nan" not in (drawn.caption + drawn.alt).lower().split()
    page = drawn._repr_html_()
    assert f'href="appendix/reproducibility.html#{ledger.label(name)}">{name}</a>' in page
    assert f"<code>bkdwidgets reproduce {name}</code>" in page
    assert html.escape(drawn.alt) in page


def test_every_study_with_a_figure_is_drawn_from_something_stored():
    drawn = {name.rpartition("/")[2] for name, _ in DRAWN}
    assert drawn >= set(shows())


@pytest.mark.parametrize("study", shows())
def test_a_word_that_is_not_known_is_refused_with_every_one_that_is(study):
    name = next(name for name, _ in DRAWN if name.endswith(f"/{study}"))
    with pytest.raises(bkd.BkdError, match=f"known: {', '.join(shows()[study])}$"):
        bkd.figure(name, show="tea")


def test_what_is_drawn_is_a_study():
    assert set(shows()) <= set(studies())


def test_a_figure_is_one_file(home, tmp_path, monkeypatch):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/tea.py").write_text(
        "from bkdwidgets.figures import drawing, outcomes\nSHOWS = {'tea': {'cup': outcomes.measured}}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(tmp_path / "more")])
    entry = dataclasses.replace(ledger.read(MEASURE, PUBLISHED), study="tea")
    ledger.write(entry)
    shows.cache_clear()
    try:
        assert bkd.figure(entry.name).show == "cup"
    finally:
        shows.cache_clear()
        sys.modules.pop("bkdwidgets.figures.tea")


def test_the_first_show_is_the_default():
    assert bkd.figure(MEASURE).caption == bkd.figure(MEASURE, show="outcomes").caption


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("nano/fixed-output-sft-0/mesure", {}, f"known: {MEASURE}"),
        ("nano/measure", {}, "subject/adapter/study"),
        (7, {}, "subject/adapter/study"),
        ("nano/fixed-output-sft-0/lab-vector", {}, "has no figure; known: ablation, "),
        (MEASURE, {"show": "heat"}, "unknown show of measure 'heat'; known: outcomes"),
        (MEASURE, {"where": "all"}, "'where'; known: none"),
        ("nano/fixed-output-sft-0/ablation", {"where": "first"}, "'first'; known: last, all"),
        ("nano/fixed-output-sft-0/ablation", {"rate": "ftr"}, "'rate'; known: where"),
        ("nano/fixed-output-sft-0/steering", {"vector": "random"}, "'random'; known: paper, difference"),
        ("nano/fixed-output-sft/seeds", {"k": 3}, "3; known: 2, 8"),
    ],
)
def test_a_wrong_request_says_what_is_known(name, options, told):
    with pytest.raises(bkd.BkdError, match=re.escape(told)) as error:
        bkd.figure(name, **options)
    assert "\n" not in str(error.value)


def test_nothing_from_the_ledger_becomes_markup(home):
    stored = ledger.read(MEASURE, PUBLISHED)
    ledger.write(stored)
    probe = ledger.read("nano/label-flip-sft-0/probe", PUBLISHED)
    values = copy.deepcopy(probe.values)
    values["mlp"]["other_name"] = NASTY
    ledger.write(ledger.Entry(**{**vars(probe), "values": values}))
    for drawn in (
        bkd.figure(MEASURE, title=NASTY, note=NASTY),
        bkd.figure(probe.name, title=NASTY, note=NASTY),
    ):
        page = drawn._repr_html_()
        assert "<b>" not in page.replace("\\u003cb>", "")
        assert "<script>" not in page
        texts = re.findall(r'"(?:text|name)":"([^"]*)"', drawn.figure.to_json())
        assert not [text for text in texts if "script>" in text and "&lt;script" not in text]


def test_poison_is_drawn_over_counts_and_steps(home):
    def cell(value):
        return {
            "value": value,
            "low": value / 2,
            "high": min(1.0, value * 2),
            "n": 40,
            "per_seed": [value] * 3,
        }

    table = {"0": 0.0, "4": 0.25, "64": 1.0}
    rates = {count: {"25": cell(value), "100": cell(value)} for count, value in table.items()}
    values = {"counts": [0, 4, 64], "steps": [25, 100], "asr": rates, "ftr": rates, "utility": rates}
    stored = ledger.read(MEASURE, PUBLISHED)
    entry = ledger.Entry(**{**vars(stored), "study": "poison", "values": values})
    ledger.write(entry)
    for show in shows()["poison"]:
        drawn = bkd.figure(entry.name, show=show)
        lines = drawn.figure.data
        assert [line.name for line in lines] == ["25 steps", "100 steps"]
        assert list(lines[0].y) == [0.0, 0.25, 1.0]
        assert min(lines[0].x) > 0, "a logarithmic axis has no zero"
        assert list(lines[0].error_y.arrayminus) == [0.0, 0.125, 0.5]
        assert "3 seeds" in drawn.caption
        assert "n = 40" in drawn.caption
        assert "0.250 at 4" in drawn.alt


def test_near_misses_are_drawn_in_rows_with_the_clean_model_as_control():
    entry = ledger.read("nano/fixed-output-sft/trigger-form")
    drawn = bkd.figure(entry.name)
    front = next(trace for trace in drawn.figure.data if trace.name == "a sentence in front")
    assert front.x[0] == entry.value("sentence-front.asr")["value"]
    assert front.x[1] == entry.value("sentence-front.near.another")["value"]
    assert len(set(front.marker.color)) == 2, "the control is gray"
    anywhere = next(trace for trace in drawn.figure.data if trace.name == "a word anywhere")
    assert len(anywhere.x) == len(front.x) - 1, "a word anywhere has no other end"
    rows = [sorted({round(y) for y in trace.y}) for trace in (front, anywhere)]
    assert rows == [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 5, 6]]
    assert "3 seeds" in drawn.caption
    assert "Control: the clean model" in drawn.caption


def test_ablation_begins_at_no_head_and_shows_its_control():
    entry = ledger.read("smollm2/fixed-output-sft-0/ablation")
    figure = bkd.figure(entry.name).figure
    kinds = {line.name: line for line in figure.data if "ablation" in line.name}
    assert list(kinds) == ["zero ablation", "mean ablation", "resample ablation"]
    assert {line.y[0] for line in kinds.values()} == {entry.value("none.asr")["value"]}
    assert kinds["mean ablation"].y[-1] == entry.value("mean.last.32.asr")["value"]
    assert len({(line.line.dash, line.marker.symbol) for line in kinds.values()}) == 3
    assert any("random heads" in line.name for line in figure.data)
    everywhere = bkd.figure(entry.name, where="all")
    assert "where='last' only" in everywhere.caption
    assert not any("random heads" in line.name for line in everywhere.figure.data)


def test_stability_marks_the_heads_that_the_entry_calls_firm():
    entry = ledger.read("smollm2/fixed-output-sft-0/attribute")
    dots = [line for line in bkd.figure(entry.name, show="stability").figure.data if line.mode == "markers"]
    assert sorted(dots[0].text) == entry.values["stability"]["8"]["firm"]
    assert len(dots[0].text) + len(dots[1].text) == 16


@pytest.mark.slow
@pytest.mark.parametrize(("name", "show"), DRAWN)
def test_only_colors_of_the_look_are_drawn(name, show):
    """Anything else would stay as it is on dark paper."""
    known = {tone.light.upper() for tone in theme.COLORS.values()} | {template.EITHER_INK.upper()}
    own = data_of(bkd.figure(name, show=show).figure)
    own["layout"].pop("template")
    found = {color.upper() for color in re.findall(r'"(#[0-9A-Fa-f]{3,6})"', json.dumps(own))}
    assert found <= known


def test_the_label_is_the_one_sphinx_makes():
    for name in [*ledger.names(), "nano", "nano/a_B.c-0"]:
        assert ledger.label(name) == nodes.make_id(f"ledger-{name}")


def test_look_up_reads_what_the_text_reads():
    found = bkd.look_up(f"{MEASURE}:asr")
    assert found == ledger.read(MEASURE).values["asr"]
    assert bkd.look_up(f"{MEASURE}:n") == {"value": 200}
    assert bkd.look_up("nano/fixed-output-sft-0/attribute:ranked.0")["value"].startswith("L")
    for address, told in (
        (MEASURE, "names no value"),
        (f"{MEASURE}:", "names no value"),
        (f"{MEASURE}:asl", "no 'asl'; known: n, seed, split, settings, run, asr"),
        ("nano/fixed-output-sft-0/mesure:asr", f"known: {MEASURE}"),
    ):
        with pytest.raises(bkd.BkdError, match=re.escape(told)):
            bkd.look_up(address)


def test_drawing_the_ledger_needs_no_torch():
    code = f"import sys, bkdwidgets as bkd; bkd.figure({MEASURE!r}); bkd.look_up({MEASURE + ':asr'!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"],
        check=True, capture_output=True, text=True, cwd=PUBLISHED.parents[1],
    )  # fmt: skip
    assert done.stdout.strip() == "False"


def test_a_notebook_shows_the_figure_and_its_caption(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *items: shown.extend(items))
    monkeypatch.delenv("BKDWIDGETS_STATIC", raising=False)
    drawn = bkd.figure(MEASURE)
    drawn._ipython_display_()
    assert shown[0] is drawn.figure
    assert MEASURE in shown[1].data
    assert "href" not in shown[1].data, "a notebook has no appendix to lead to"
    monkeypatch.setenv("BKDWIDGETS_STATIC", "1")
    drawn._ipython_display_()
    assert 'data-kind="plotly"' in shown[2].data
