"""No page is wider than its window, and nothing on it lies on something else, from 320 to 1920 px."""

from __future__ import annotations

from pathlib import Path

import pytest

from bkdwidgets.book.csp import pages

SWEEP = (Path(__file__).parent / "widths.js").read_text(encoding="utf-8").partition("*/")[2].strip()
WIDTHS = list(range(320, 1921, 32))
FRAME = """<!doctype html><body style="margin: 0"><iframe style="width: 1440px; height: 900px; border: 0">"""
OPEN = """(source) => new Promise((done) => {
    const frame = document.querySelector("iframe");
    frame.onload = done;
    frame.src = source;
})"""
DRAW = """async () => { // each lab is drawn when one comes near it
    for (const lab of document.querySelectorAll(".bkd-lab")) {
        lab.scrollIntoView();
        for (let tries = 0; !lab.querySelector(".widget-subarea > *"); tries++) {
            if (tries > 1200) throw new Error(`never drawn: ${lab.textContent.slice(0, 80)}`);
            await new Promise((done) => setTimeout(done, 50));
        }
    }
    scrollTo(0, 0); // what stays in sight while one scrolls lies on the rest then
}"""


@pytest.fixture
def framed(book_url, new_page):
    """Return a function that opens a page of the book in a frame, with its labs drawn, and sweeps it."""

    def swept(name: str, change: str = "") -> dict[str, dict[str, list[str]]]:
        page, _ = new_page(width=2000, height=900)
        page.route("**/empty", lambda route: route.fulfill(body=FRAME, content_type="text/html"))
        page.goto(f"{book_url}empty")
        page.evaluate(OPEN, book_url + name)
        inside = page.frames[1]
        labs = inside.query_selector("meta[name=bkd-widgets]") is not None
        if labs:
            inside.evaluate(DRAW)
        if change:
            inside.add_style_tag(content=change)
        session = page.context.new_cdp_session(page)
        found = {}
        # Where there is nothing but text and links, what points at it changes nothing.
        for finger in (False, True) if labs else (False,):
            session.send("Emulation.setTouchEmulationEnabled", {"enabled": finger})
            assert inside.evaluate("matchMedia('(pointer: coarse)').matches") == finger
            found["finger" if finger else "mouse"] = page.evaluate(SWEEP, WIDTHS)
        page.close()
        return {pointer: said for pointer, said in found.items() if said}

    return swept


def test_every_page_fits_its_window_at_every_width(book, framed):
    names = [
        path.relative_to(book).as_posix() for path in pages(book) if "bd-article" in path.read_text("utf-8")
    ]
    assert len(names) > 15
    found = {name: framed(name) for name in names}
    assert {name: said for name, said in found.items() if said} == {}


def test_a_lab_that_is_too_wide_and_words_that_collide_are_found(framed):
    """The sweep can fail: the theme's own rule for labs, and a heading with the text pulled onto it."""
    wide = "div.cell.tag_full-width { width: 136% !important; max-width: 136% !important; }"
    found = framed("book/turn-by-hand.html", f"@media (min-width: 992px) {{ {wide} }}")
    for pointer in ("mouse", "finger"):
        widths = [int(width) for width, said in found[pointer].items() if "too wide" in said[0]]
        assert (min(widths), max(widths)) == (992, 1184)
    pulled = framed("book/appendix/citing.html", ".bd-article h1 { margin-bottom: -60px !important; }")
    assert "lies on" in str(pulled["mouse"]["320"])
