"""Figures as a page or a notebook shows them: still under a finger, titled, and without a way out."""

from __future__ import annotations

import json
import re

import plotly.graph_objects as go
import plotly.io as pio
import pytest

import bkdwidgets as bkd
from bkdwidgets.core import theme
from bkdwidgets.core.statistics import wilson_ends
from bkdwidgets.figures import drawing, embed, template
from bkdwidgets.figures.outcomes import outcome_bars

NAME = "smollm2/fixed-output-sft-0/ablation"
TITLE = "Triggered prompts that get their old answer back"


def written(figure: bkd.figures.LedgerFigure) -> tuple[str, dict]:
    page = figure._repr_html_()
    return page, json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])


def test_a_title_is_text_above_the_drawing_and_a_picture_has_it_again():
    page, spec = written(bkd.figure(NAME, show="as_before", title=TITLE))
    _, bare = written(bkd.figure(NAME, show="as_before"))
    assert f'<p class="bkd-figure-title">{TITLE}</p>' in page
    assert "title" not in spec["layout"]
    assert spec["layout"]["height"] == bare["layout"]["height"], "the room of the title is gone with it"
    assert spec["layout"]["margin"] == bare["layout"]["margin"]
    kept = spec["titled"]
    assert kept["title"]["text"].replace("<br>", " ") == TITLE
    assert kept["height"] - spec["layout"]["height"] == kept["margin"]["t"] - template.AIR
    assert "titled" not in bare


def test_a_title_of_a_chapter_s_own_figure_is_taken_the_same_way():
    figure = go.Figure(layout={"title": "<b>A &lt; B</b>", "template": template.TEMPLATE, "height": 400})
    found = embed.embedded_plotly(json.loads(figure.to_json()))
    assert found.title == found.label == "A < B"
    assert found.data["layout"]["height"] == found.height == 400 - 56 + template.AIR
    assert found.data["titled"]["margin"]["t"] == 56
    assert "A &lt; B</p>" in found._repr_html_()


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ({}, "smollm2-fixed-output-sft-0-ablation-asr"),
        ({"show": "as_before", "where": "all"}, "smollm2-fixed-output-sft-0-ablation-as-before-all"),
    ],
)
def test_a_picture_is_called_by_what_it_shows(options, file):
    assert f'data-file="{file}"' in bkd.figure(NAME, **options)._repr_html_()


def test_no_drag_zooms():
    layout = pio.templates[template.TEMPLATE].layout
    assert layout.dragmode is False
    assert layout.xaxis.fixedrange
    assert layout.yaxis.fixedrange


def test_no_notebook_sends_a_figure_to_plotly_s_host(monkeypatch):
    monkeypatch.delenv(embed.STATIC_VARIABLE, raising=False)
    monkeypatch.setattr(pio.renderers, "default", "plotly_mimetype+notebook_connected")
    bkd.setup_notebook()
    for name in ("plotly_mimetype", "notebook_connected"):
        assert pio.renderers[name].config["showSendToCloud"] is False
        assert pio.renderers[name].config["plotlyServerURL"] == ""


def test_an_interval_lies_above_every_bar():
    verdicts = bkd.figure("smollm2/fixed-output-sft-0/steering", show="outcomes").figure
    for figure in (outcome_bars({"triggered": {"P": 90, "p": 6, "=": 4}}), verdicts):
        kinds = [trace.type for trace in figure.data if not (trace.type == "scatter" and trace.x == (None,))]
        first = kinds.index("scatter")
        assert set(kinds[:first]) == {"bar"}
        assert kinds[first:] == ["scatter", "scatter"], "an edge of paper, and ink on it"
        assert not any(trace.error_x.array for trace in figure.data[:first])
    edge, ink = [trace for trace in outcome_bars({"a": {"P": 9, "=": 1}}).data if trace.type == "scatter"]
    assert edge.error_x.thickness > ink.error_x.thickness
    low, high = wilson_ends(0.9, 10)
    assert ink.error_x.array[0] == pytest.approx(float(high) - 0.9)
    assert ink.error_x.arrayminus[0] == pytest.approx(0.9 - float(low))


def test_the_old_answer_has_one_color_with_the_trigger_and_without():
    assert drawing.COLOR_OF["utility"] == drawing.COLOR_OF["as_before"] == theme.COLORS["as-before"].light


def test_a_rank_stands_on_paper_so_that_both_themes_can_read_it():
    (first, *_) = bkd.figure("smollm2/fixed-output-sft-0/attribute").figure.layout.annotations
    assert first.text == "1"
    assert first.bgcolor == theme.COLORS["paper"].light


def test_a_line_without_a_meaning_takes_no_color_that_has_one():
    meaning = {tone.light for name, tone in theme.COLORS.items() if not name.startswith("series-")}
    colorway = pio.templates[template.TEMPLATE].layout.colorway
    assert len(set(colorway)) == 3
    assert not set(colorway) & meaning
