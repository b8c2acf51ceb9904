"""Every page of the built book: alive, quiet, and asking nobody else for anything."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

from reading import scroll_through

if TYPE_CHECKING:
    from pathlib import Path


def pages(book: Path) -> list[str]:
    """Return every page a reader can reach, relative to the book."""
    return sorted(
        path.relative_to(book).as_posix()
        for path in book.rglob("*.html")
        if not path.relative_to(book).parts[0].startswith("_")
    )


def visit(page, url: str) -> None:
    page.goto(url, wait_until="load")
    page.wait_for_load_state("networkidle")
    scroll_through(page)


def test_every_page_is_quiet_and_asks_no_other_host(book, book_url, new_page):
    """On a phone; chapters are looked at on a wide screen below, and test_accessibility measures widths."""
    assert len(pages(book)) > 4
    for name in pages(book):
        page, record = new_page(width=390)
        visit(page, book_url + name)
        assert record.outside() == [], name
        assert record.complaints() == [], name
        page.close()


def chapters(book: Path) -> list[str]:
    return [name for name in pages(book) if 'class="bkd-bar"' in (book / name).read_text(encoding="utf-8")]


def attending(book: Path) -> list[str]:
    """Return the chapters with an attention view, which CircuitsVis draws."""
    return [name for name in chapters(book) if ">AttentionView<" in (book / name).read_text("utf-8")]


def test_chapters_draw_their_figures_and_labs(book, book_url, new_page):
    assert len(chapters(book)) == 10
    assert attending(book)
    for name in chapters(book):
        page, record = new_page(width=1440)
        visit(page, book_url + name)
        assert (record.outside(), record.complaints()) == ([], []), name
        assert page.locator(".bkd-plotly .main-svg").count() > 0, name
        assert page.locator(".bkd-lab .jupyter-widgets").count() > 0, name
        views = page.locator(".bkd-circuitsvis .bkd-drawing > [aria-hidden] *").count()
        assert (views > 0) == (name in attending(book)), name
        assert page.locator(".bkd-failed").count() == 0, name
        unnamed = page.locator(".noUi-handle:not([aria-label])").count()
        assert unnamed == 0, f"{name}: {unnamed} slider handles have no name"
        page.close()


def test_figures_and_labs_are_loaded_late(book, book_url, new_page):
    page, record = new_page(height=300)
    page.goto(book_url + attending(book)[0], wait_until="load")
    page.wait_for_load_state("networkidle")
    assert not [url for url in record.requests if "circuitsvis.js" in url]
    scroll_through(page)
    assert [url for url in record.requests if "circuitsvis.js" in url]


def test_chapters_work_from_the_disk(book, new_page):
    for name in chapters(book):
        page, record = new_page()
        visit(page, (book / name).resolve().as_uri())
        assert [url for url in record.requests if not url.startswith(("file:", "data:", "blob:"))] == [], name
        assert record.complaints() == [], name
        assert page.locator(".bkd-failed").count() == 0, name


def test_dark_and_light_redraw_the_figures(book, book_url, page):
    visit(page, book_url + chapters(book)[0])
    ink = "getComputedStyle(document.querySelector('.bkd-plotly .xtick text, .bkd-plotly .gtitle')).fill"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    page.wait_for_timeout(500)
    light = page.evaluate(ink)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(500)
    assert page.evaluate(ink) != light
    assert page.record.complaints() == []


def test_only_pages_with_formulas_load_what_draws_them(book):
    for name in pages(book):
        text = (book / name).read_text(encoding="utf-8")
        assert ("tex-chtml.js" in text) == ('class="math ' in text), name


def test_first_view_is_light(book, book_url, new_page):
    """Count what a first view loads (gzipped as a host would send it), before a reader scrolls to a lab."""
    for name in ["book/intro.html", *chapters(book)]:
        page, record = new_page(height=200)
        page.goto(book_url + name, wait_until="load")
        page.wait_for_load_state("networkidle")
        asked = {
            re.sub(r"[?#].*", "", url).removeprefix(book_url)
            for url in record.requests
            if url.startswith("http")
        }
        late = re.compile(r"_static/(?:vendor/(?!mathjax/)|widgets/)")
        size = sum(len(gzip.compress((book / file).read_bytes())) for file in asked if not late.match(file))
        assert size <= 600 * 1024, f"{name}: {size / 1024:.0f} KB gzipped"
        page.close()
