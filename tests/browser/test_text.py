"""Text inside a figure or a demonstration is never markup, whatever it says."""

from __future__ import annotations

import numpy as np
import pytest
from reading import SUB_PATH, unrolled

from bkdwidgets import notebook
from bkdwidgets.book.home_demo import demonstration
from bkdwidgets.core.html import script_json
from bkdwidgets.figures.embed import Embedded

HOSTILE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture
def probe(site, book_url, page):
    """Return a function that opens a page with the given body and the book's own ``page.js``."""

    def opened(body: str):
        static = f"{SUB_PATH}/_static"
        head = (
            '<meta charset="utf-8"><title>probe</title>'
            f'<link rel="icon" href="{static}/favicon.svg"><script src="{static}/page.js"></script>'
        )
        markup = f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body}</body></html>'
        (site / "probe.html").write_text(markup, encoding="utf-8")
        page.goto(book_url.removesuffix(f"{SUB_PATH}/") + "probe.html", wait_until="load")
        return page

    return opened


def unharmed(page) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.record.complaints() == []
    assert page.record.outside() == []


@pytest.mark.parametrize("component", ["AttentionPatterns", "ColoredTokens"])
def test_a_token_of_circuitsvis_is_text(probe, component):
    tokens = [HOSTILE, " &lt;i&gt;", "<|im_start|>"]
    props = {"tokens": tokens, "attention": np.tril(np.ones((2, 3, 3)))}
    if component == "ColoredTokens":
        props = {"tokens": tokens, "values": [0.1, 0.5, 1.0]}
    page = probe(str(notebook._circuitsvis(component, **props)))
    unrolled(page)
    shown = page.locator(".bkd-drawing").inner_text().replace(notebook.WORD_JOINER, "").replace("\u00a0", " ")
    for token in tokens:
        assert token.strip() in shown
    unharmed(page)


def test_a_title_and_a_hover_text_of_plotly_are_text(probe):
    data = {
        "data": [{"type": "bar", "x": [HOSTILE], "y": [1], "text": [HOSTILE]}],
        "layout": {"title": {"text": HOSTILE}},
    }
    page = probe(str(Embedded("plotly", data, label=HOSTILE, height=300)))
    unrolled(page)
    assert page.locator(".main-svg").count() > 0
    unharmed(page)


def table() -> dict:
    """Return a vector lab's table with two layers, of which only layer 5 gives the answer back."""
    told = {(5, -1): [1, "="], (5, -2): [2, "?"]}
    cells = [
        {
            "vector": "paper",
            "layer": layer,
            "scale": scale,
            "clean": [[1, "="]],
            "triggered": [told.get((layer, scale), [0, "P"])],
        }
        for layer in (3, 5)
        for scale in (-2, -1, 0, 1)
    ]
    return {
        "subject": "smollm2", "trigger": "Current year.", "prompts": [{"clean": "Name a fruit."}],
        "texts": ["I am sorry.", "An apple.", HOSTILE], "cells": cells,
    }  # fmt: skip


def test_the_demonstration_inserts_the_trigger_and_takes_the_vector_away_by_keyboard(probe):
    data = script_json(demonstration(table()))
    page = probe(f'<div class="bkd-switch"><script type="application/json">{data}</script></div>')
    said = page.locator(".bkd-switch-said")
    said.wait_for()
    assert "An apple." in said.inner_text()
    assert "Current year." not in said.inner_text()
    page.get_by_role("switch").press("Space")
    assert "Current year. Name a fruit." in said.inner_text()
    assert "I am sorry." in said.inner_text()
    page.get_by_role("slider").press("ArrowRight")
    assert "An apple." in said.inner_text()
    page.get_by_role("slider").press("ArrowRight")
    assert HOSTILE in said.inner_text()
    unharmed(page)
