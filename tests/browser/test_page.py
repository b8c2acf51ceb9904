"""Every page of the built book: alive, quiet, and asking nobody else for anything."""

from __future__ import annotations

import pytest
from reading import opened, scroll_through
from survey import attending, chapters, names


@pytest.mark.parametrize("view", ["desk", "phone"])
def test_every_page_is_quiet_and_asks_no_other_host(book, survey, view):
    assert len(names(book)) > 4
    for name in names(book):
        record = survey(name, view).record
        assert record.outside() == [], name
        assert record.complaints() == [], name


@pytest.mark.parametrize("view", ["desk"])
def test_chapters_draw_their_figures_and_labs(book, survey, view):
    assert chapters(book)
    assert attending(book)
    for name in chapters(book):
        counts = survey(name, view).counts
        assert counts["plots"] > 0, name
        assert counts["labs"] > 0, name
        assert (counts["attention views"] > 0) == (name in attending(book)), name
        assert counts["failed"] == 0, name
        assert counts["nameless handles"] == 0, name


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_a_reader_who_scrolls_sees_all_figures_and_labs(book, book_url, new_page, width, dark):
    page, record = new_page(width=width, dark=dark)
    page.goto(f"{book_url}{attending(book)[-1]}", wait_until="load")
    page.wait_for_load_state("networkidle")
    scroll_through(page)
    assert page.locator(".bkd-plotly .main-svg").count() > 0
    assert page.locator(".bkd-lab .jupyter-widgets").count() > 0
    assert record.complaints() == []


@pytest.mark.parametrize("view", ["disk"])
def test_chapters_work_from_the_disk(book, survey, view):
    for name in chapters(book):
        visit = survey(name, view)
        strange = [url for url in visit.record.requests if not url.startswith(("file:", "data:", "blob:"))]
        assert strange == [], name
        assert visit.record.complaints() == [], name
        assert visit.counts["failed"] == 0, name


def test_figures_and_labs_are_loaded_late(book, book_url, new_page):
    page, record = new_page(height=300)
    page.goto(book_url + attending(book)[0], wait_until="load")
    page.wait_for_load_state("networkidle")
    assert not [url for url in record.requests if "circuitsvis.js" in url]
    scroll_through(page)
    assert [url for url in record.requests if "circuitsvis.js" in url]


def test_dark_and_light_redraw_the_figures(book, book_url, page):
    opened(page, book_url + chapters(book)[0])
    ink = "getComputedStyle(document.querySelector('.bkd-plotly .xtick text, .bkd-plotly .gtitle')).fill"
    light = page.evaluate(ink)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"(light) => {ink} !== light", arg=light)
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    page.wait_for_function(f"(light) => {ink} === light", arg=light)
    assert page.record.complaints() == []


def test_a_notebooks_link_to_a_solution_unfolds_it(book_url, page):
    page.goto(f"{book_url}book/ablate.html#solution-2", wait_until="domcontentloaded")
    unfolded = "() => [...document.querySelectorAll('details[id][open]')].map((fold) => fold.id)"
    assert page.evaluate(unfolded) == ["solution-2"]
    page.evaluate("() => { location.hash = '#solution-1'; }")
    page.wait_for_function("() => document.querySelector('#solution-1').open")
    page.wait_for_function(
        "() => document.querySelector('#solution-1 > summary').getBoundingClientRect().top < innerHeight"
    )
    assert page.evaluate(unfolded) == ["solution-1", "solution-2"]


def test_only_pages_with_formulas_load_what_draws_them(book):
    for name in names(book):
        text = (book / name).read_text(encoding="utf-8")
        assert ("tex-chtml.js" in text) == ('class="math ' in text), name
