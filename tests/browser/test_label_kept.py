"""Labels that a reader has given are still there after a reload, and nowhere but in her tab."""

from __future__ import annotations

import tables
from labs import served, written
from test_label_page import opened  # noqa: F401 - makes tests/ importable

from bkdwidgets.widgets import LabelLab

WORDS = "document.querySelector('.bkd-progress-words').textContent"


def test_labels_survive_a_reload_of_a_page_of_the_book(new_page, tmp_path):
    with served(tmp_path) as address:
        written(tmp_path, LabelLab(tables.labels_table()), "label", live=True)
        page, record = new_page()
        page.goto(address)
        page.wait_for_function("window.ready === true")
        for _ in range(2):
            page.locator(".bkd-letter").first.click()
        given = page.evaluate("model.get('labels')")
        page.reload()
        page.wait_for_function("window.ready === true")
        assert page.evaluate("model.get('labels')") == given
        assert page.evaluate(WORDS).startswith("2 of")
        page.evaluate('sessionStorage.setItem(Object.keys(sessionStorage)[0], \'{"labels": {"x": "<b>"}}\')')
        page.reload()
        page.wait_for_function("window.ready === true")
        assert page.evaluate("model.get('labels')") == {}
        assert page.evaluate("localStorage.length") == 0
        assert record.complaints() == []
