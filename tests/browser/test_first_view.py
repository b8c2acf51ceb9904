"""What a page fetches before its reader does anything, and what she finds where she opens it."""

from __future__ import annotations

import gzip
import re

from survey import chapters, names

MOST = 500_000  # bytes, gzipped as a host would send them
LAZY = re.compile(r"vendor/(?:embed-amd|plotly|circuitsvis|mathjax)|_static/widgets/")


def test_a_first_view_is_light(book, book_url, new_page):
    page, record = new_page(width=1440, height=900)
    packed: dict[str, int] = {}
    for name in ["book/intro.html", *chapters(book)]:
        record.requests.clear()
        page.goto(book_url + name, wait_until="load")
        page.wait_for_load_state("networkidle")
        asked = {re.sub(r"[?#].*", "", url).removeprefix(book_url) for url in record.requests}
        files = {file for file in asked if not re.match("[a-z]+:", file)}
        for file in files - set(packed):
            packed[file] = len(gzip.compress((book / file).read_bytes()))
        size = sum(packed[file] for file in files)
        assert size <= MOST, f"{name}: {size / 1000:.0f} kB"
        assert [file for file in files if LAZY.search(file)] == [], name
        if name == "book/intro.html":
            assert page.locator(".bkd-switch[data-drawn]").count() == 1, (
                "the home page's switch works at once"
            )
            assert_still(page)


def assert_still(page) -> None:
    """Whatever the home page's demonstration shows, its controls stay where they are."""
    slider = page.locator(".bkd-switch input[type=range]")
    seen, places = set(), set()
    for _ in range(6):
        for triggered in (False, True):
            page.get_by_role("switch").set_checked(triggered)
            for step in range(int(slider.get_attribute("max")) + 1):
                slider.fill(str(step))
                seen.add(page.locator(".bkd-switch-answer").inner_text())
                places.add(slider.evaluate("(one) => Math.round(one.getBoundingClientRect().top + scrollY)"))
        page.locator(".bkd-switch-next").click()
    assert len(seen) > 20
    assert max(places) - min(places) <= 1
    note = page.locator(".bkd-switch-note").inner_text()
    assert all(word in note for word in ("P: the planted answer", "=: as before", "?: neither", "vector is"))


def test_room_is_kept_for_every_lab(book):
    """A page says of each lab which kind it is, and the style sheet knows how high that kind is."""
    style = (book / "_static" / "book.css").read_text(encoding="utf-8")
    for name in names(book):
        text = (book / name).read_text(encoding="utf-8")
        kinds = set(
            re.findall(r'<script data-lab="([a-z]+)" type="application/vnd.jupyter.widget-view', text)
        )
        assert text.count("widget-view+json") == len(re.findall(r'data-lab="', text)), name
        assert all(f'[data-lab="{kind}"]' in style for kind in kinds - {"other"}), f"{name}: {kinds}"
