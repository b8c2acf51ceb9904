"""A chapter on paper: its figures, its labs as they were left, and nothing to press."""

from __future__ import annotations

import pytest
from survey import chapters

PAPER = 660  # what page.js takes for the width between the margins


@pytest.mark.parametrize("view", ["phone"])
def test_a_printed_chapter_has_its_figures_in_light_colors(book, survey, view):
    """Printed from a phone in the dark, to which it comes back as it was."""
    for name in chapters(book):
        visit = survey(name, view)
        printed = visit.paper
        assert printed["theme"] == "light", name
        assert printed["widths"] == [PAPER] * printed["n_figures"], f"{name}: missing or cut: {printed}"
        assert printed["sheets"] > 2, name
        assert printed["after"] == "dark", name
        assert visit.record.complaints() == [], name


def test_a_reader_who_sits_still_can_print_the_whole_chapter(book, book_url, new_page):
    """Nothing was scrolled to: the rest is drawn while the page is idle."""
    page, _ = new_page(height=400)
    page.goto(book_url + chapters(book)[0], wait_until="load")
    page.wait_for_function("() => !document.querySelector('.bkd-figure:not([data-drawn])')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.bkd-lab')].every((lab) => lab.querySelector('.bkd-desk'))"
    )
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("view", ["desk"])
def test_paper_has_nothing_to_press_and_no_empty_boxes(book, survey, view):
    for name in chapters(book):
        paper = survey(name, view).paper
        assert paper["to press"] == {}, name
        assert all(text.strip() for text in paper["readouts"]), f"{name}: a slider without its value"
        assert all("on the web page" in words for words in paper["folds"]), f"{name}: a silent closed fold"


def test_a_figure_that_was_never_drawn_is_printed_in_words(book, book_url, page):
    page.set_viewport_size({"width": 1200, "height": 300})
    page.goto(book_url + chapters(book)[0], wait_until="load")
    page.emulate_media(media="print")
    words = page.evaluate(
        """() => { const figure = document.querySelector('.bkd-figure:not([data-drawn])');
            return [getComputedStyle(figure, '::before').content, figure.getAttribute('aria-label')]; }"""
    )
    assert words[1] in words[0].replace('\\"', '"')
