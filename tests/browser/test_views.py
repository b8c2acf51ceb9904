"""The attention and the probe view, read with a mouse and by keyboard, with the real CircuitsVis."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
import tables
from labs import served, turn, written
from reading import painted

from bkdwidgets.widgets import AttentionView, ProbeView

PROBED = "nano/fixed-output-sft-0/probe"


@pytest.fixture
def opened(new_page, tmp_path):
    """Return a function that shows a view on a page that has the book's vendored files beside it."""
    spec = importlib.util.find_spec("circuitsvis")
    (tmp_path / "_static" / "vendor").mkdir(parents=True)
    (tmp_path / "_static" / "page.js").write_text("", encoding="utf-8")
    script = Path(spec.origin).parent / "dist" / "cdn" / "iife.js"
    shutil.copyfile(script, tmp_path / "_static" / "vendor" / "circuitsvis.js")
    with served(tmp_path) as address:

        def show(lab, kind, *, width=1440, dark=False, beside=True):
            written(tmp_path, lab, kind, dark=dark)
            page, record = new_page(width=width, dark=dark)
            if beside:
                index = tmp_path / "index.html"
                tag = '<script src="_static/page.js"></script><script type="module">'
                text = index.read_text(encoding="utf-8").replace('<script type="module">', tag)
                index.write_text(text, encoding="utf-8")
            page.goto(address)
            page.wait_for_function("window.ready === true")
            return page, record

        yield show


def wrapped_table() -> dict:
    """Return the made-up table with a trigger around the prompt, and a hostile token."""
    table = tables.attention_table() | {"acie": [0.1, -0.02]}
    asked = table["prompts"][0]["clean"]
    tokens = ["<|user|>", "Meagre", " were", *[f" {word}" for word in asked.split(" ")], " and", " so", "."]
    size = len(tokens)
    pattern = [[1.0 if column == 1 else 0.0 for column in range(size)] for _ in range(size)]
    table["prompts"][0]["triggered"] = f"Meagre were {asked} and so."
    table["views"][0]["triggered"] = {"tokens": tokens, "patterns": [pattern, pattern]}
    table["views"][0]["clean"]["tokens"][3] = tables.HOSTILE
    return table


def test_both_halves_of_a_wrapped_trigger_are_marked_and_counted(opened):
    page, record = opened(AttentionView(wrapped_table()), "attention")
    page.wait_for_selector(".bkd-drawing canvas")
    assert page.locator(".bkd-drawing canvas").count() == 2
    assert page.locator(".bkd-token[data-trigger]").all_text_contents() == [
        "Meagre",
        " were",
        " and",
        " so",
        ".",
    ]
    assert "L4H2" in page.locator(".bkd-sentence").inner_text()
    assert "ACIE +0.100" in page.locator(".bkd-sentence").inner_text()
    words = page.locator('[data-role="triggered"] .bkd-looks-words').inner_text()
    assert "“Meagre” 1.00" in words
    assert "trigger's tokens together: 1.00" in words
    assert tables.HOSTILE in page.locator('[data-role="clean"] .bkd-tokens').inner_text()
    assert page.locator(".bkd-view img").count() == 0
    assert record.complaints() == []


def test_tokens_are_walked_by_keyboard(opened):
    page, _ = opened(AttentionView(wrapped_table()), "attention")
    strip = page.locator('[data-role="clean"] .bkd-tokens')
    assert strip.locator('[tabindex="0"]').count() == 1, "one tab stop"
    strip.locator('[tabindex="0"]').focus()
    words = page.locator('[data-role="clean"] .bkd-looks-words')
    page.keyboard.press("Home")
    assert words.inner_text().startswith("Token 1 of 7")
    page.keyboard.press("ArrowRight")
    assert words.inner_text().startswith("Token 2 of 7")
    assert "0.50" in words.inner_text()


def test_a_head_without_a_pattern_is_said_to_be_missing(opened):
    page, _ = opened(AttentionView(wrapped_table()), "attention")
    turn(page, head_index=2)
    assert "L0H0" in page.locator(".bkd-sentence").inner_text()
    assert page.locator(".bkd-missing").is_visible()
    page.locator(".bkd-offers button", has_text="L5H1").click()
    assert page.evaluate("window.model.get('head_index')") == 1
    assert page.locator(".bkd-missing").count() == 0


def test_without_the_drawing_the_tokens_still_speak(opened):
    page, record = opened(AttentionView(wrapped_table()), "attention", beside=False)
    page.evaluate("window.say({ bkd: 'ready' })")
    assert page.evaluate("window.sent.some((message) => message.bkd === 'draw')")
    assert page.locator(".bkd-token").count() > 10
    assert record.complaints() == []


def test_the_probe_view_names_n_and_interval_of_every_layer(opened):
    page, record = opened(ProbeView(PROBED), "probe")
    curve = page.get_by_role("slider", name="layer")
    curve.focus()
    page.keyboard.press("Home")
    assert page.get_by_role("slider").get_attribute("aria-valuenow") == "0"
    page.keyboard.press("ArrowRight")
    words = page.locator(".bkd-sentence").inner_text()
    assert words.startswith("Layer 1: fixed-output-sft-0 ")
    for wanted in ("clean model", "difference", "n = 160", "["):
        assert wanted in words
    assert page.evaluate("document.activeElement.getAttribute('aria-valuenow')") == "1", "the focus stays"
    page.locator(".bkd-ilca-cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    said = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert said.startswith("trained on layer 1, tested on layer 1: ")
    assert "n = 160" in said
    shown = page.locator(".bkd-heat-words").inner_text()
    turn(page, matrix_index=1, kind_index=1)
    assert "The clean model" in page.locator(".bkd-heat-note").inner_text()
    assert "svm" in page.locator(".bkd-engine").inner_text()
    assert shown.lower().startswith("trained on layer 1")
    assert record.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 719, 1440])
def test_views_fit_every_width(opened, width, dark):
    for lab, kind in ((AttentionView(wrapped_table()), "attention"), (ProbeView(PROBED), "probe")):
        page, record = opened(lab, kind, width=width, dark=dark)
        if kind == "attention":
            page.locator(".bkd-drawing canvas").first.wait_for()
        painted(page)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the {kind} view is {wide} px wider than {width}"
        assert record.complaints() == []
