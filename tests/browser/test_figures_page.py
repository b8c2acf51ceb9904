"""Figures in a page: still under a finger, with one button, seen on paper and without scripts."""

from __future__ import annotations

import json
import re

import pytest
from reading import drawn
from survey import PATIENCE_MS, chapters, names, with_labs

PAGE = "book/ablate.html"
RANGES = """() => [...document.querySelectorAll(".js-plotly-plot")].map((plot) => [
    plot._fullLayout.xaxis?.range, plot._fullLayout.yaxis?.range, plot._fullLayout.dragmode])"""
SCROLLED = """(start) => { // it has moved, and is where it was a frame ago
    const before = window.wasAt;
    window.wasAt = scrollY;
    return scrollY !== start && scrollY === before;
}"""
SPECS = re.compile(r'data-kind="plotly".*?<script type="application/json">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def phone(browser, book_url):
    """Open a chapter full of figures on a phone, and draw its first ones."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(book_url + PAGE, wait_until="load")
    page.locator(".bkd-plotly").first.scroll_into_view_if_needed()
    page.locator(".bkd-plotly .main-svg").first.wait_for()
    yield page
    context.close()


def swipe(page, x: float, y: float) -> float:
    """Swipe up as a finger does, and return by how much the page scrolled."""
    before = page.evaluate("scrollY")
    session = page.context.new_cdp_session(page)

    def finger(kind: str, *points: dict[str, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})
        page.wait_for_timeout(16)  # a finger's own tempo, by which a swipe is told from a fling

    finger("touchStart", {"x": x, "y": y})
    for far in range(15, 301, 15):
        finger("touchMove", {"x": x, "y": y - far})
    page.wait_for_timeout(200)  # held: nothing goes on when it is lifted
    finger("touchEnd")
    page.wait_for_function(SCROLLED, arg=before)
    return page.evaluate("scrollY") - before


def test_a_finger_scrolls_the_page_over_a_figure_and_zooms_nothing(phone):
    plot = phone.locator(".bkd-plotly .nsewdrag").first
    phone.evaluate("scrollBy(0, document.querySelector('.bkd-plotly').getBoundingClientRect().top - 300)")
    box = plot.bounding_box()
    before = phone.evaluate(RANGES)
    moved = swipe(phone, box["x"] + box["width"] / 2, box["y"] + min(box["height"], 400) / 2)
    assert moved > 200
    box = plot.bounding_box()
    phone.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert phone.evaluate(RANGES) == before
    assert before[0][2] is False


def test_a_title_wraps_with_the_page(phone):
    title = phone.locator(".bkd-figure-title").first
    assert title.evaluate("(one) => one.scrollWidth <= one.clientWidth && one.clientWidth > 300")
    assert phone.locator(".bkd-plotly .gtitle").count() == 0


def test_the_one_button_of_a_figure_saves_it_by_its_name_with_its_title(phone):
    figure = phone.locator(".bkd-plotly[data-file]:has(.bkd-figure-title)").first
    (button,) = figure.locator(".modebar-btn").all()
    with phone.expect_download() as download:
        button.dispatch_event("click")
    assert download.value.suggested_filename == f"{figure.get_attribute('data-file')}.png"
    data = download.value.path().read_bytes()
    height = int.from_bytes(data[20:24])
    spec = json.loads(figure.locator("script").text_content())
    assert height == 2 * spec["titled"]["height"]
    assert len(phone.context.pages) == 1


@pytest.mark.parametrize("view", ["desk"])
def test_no_figure_has_another_button_or_a_link(book, survey, view):
    for name in chapters(book):
        counts = survey(name, view).counts
        assert counts["plots"] > 0, name
        assert (counts["strange buttons"], counts["links in figures"]) == (0, 0), name


def test_no_figure_brings_settings_of_its_own(book):
    texts = [(book / name).read_text("utf-8") for name in chapters(book)]
    specs = [json.loads(spec) for text in texts for spec in SPECS.findall(text)]
    assert len(specs) > 30
    for spec in specs:
        assert "config" not in spec
        assert spec["layout"]["template"]["layout"]["dragmode"] is False
        own = {name: part for name, part in spec["layout"].items() if name != "template"}
        assert "fixedrange" not in json.dumps(own)
        assert "dragmode" not in own


def test_no_page_shows_a_log_or_a_progress_bar_of_its_build(book):
    for name in names(book):
        text = (book / name).read_text("utf-8")
        assert not re.search(r'class="output (?:traceback|stderr)', text), name
        assert not re.search(r"bkdwidgets: (?:fetching|converting)|it/s]", text), name
    for name in with_labs(book):
        (state,) = re.findall(r'name="bkd-widgets" content="([^"]+)"', (book / name).read_text("utf-8"))
        assert "FloatProgressModel" not in (book / "_static" / state).read_text("utf-8"), name


def test_paper_keeps_what_is_drawn_as_a_background(tour):
    drawn(tour)
    tour.emulate_media(media="print")
    kept = tour.evaluate(
        """() => [".bkd-fill", ".bkd-band", ".bkd-completion", ".bkd-heat-scale i"].map((name) =>
            getComputedStyle(document.querySelector(name)).printColorAdjust)"""
    )
    tour.emulate_media(media="screen")
    assert kept == ["exact"] * 4


def test_nothing_that_a_cell_printed_or_says_is_cut(tour):
    cut = tour.evaluate(
        """() => [...document.querySelectorAll(".cell pre")]
            .filter((one) => one.scrollWidth > one.clientWidth + 1)
            .map((one) => one.textContent.slice(0, 60))"""
    )
    assert cut == []


FOCUSED = """async (names) => {
    const lost = [];
    for (const one of document.querySelectorAll(names.map((name) => `.bkd-desk .bkd-controls ${name}`).join(", "))) {
        if (!one.checkVisibility() || one.disabled) continue;
        one.focus({ focusVisible: true, preventScroll: true });
        const { outlineStyle, outlineWidth } = getComputedStyle(one);
        if (document.activeElement === one && (outlineStyle !== "solid" || parseFloat(outlineWidth) < 2)) lost.push(one.outerHTML.slice(0, 90));
    }
    return lost;
}"""  # noqa: E501


@pytest.mark.parametrize("name", ["tour", "book/intro.html"])
def test_the_focus_is_seen_on_every_control_of_a_lab(tour, book_url, new_page, name):
    page = tour
    if name != "tour":  # the playground has what the tour lacks: text fields and a toggle
        page, _ = new_page()
        page.goto(book_url + name, wait_until="load")
        page.locator(".bkd-lab").first.scroll_into_view_if_needed()
        page.locator(".bkd-desk textarea").first.wait_for()
    assert page.locator(".bkd-controls select").count() > 0
    assert page.evaluate(FOCUSED, ["select", "textarea", "input", "button", ".noUi-handle"]) == []


def test_without_scripts_a_figure_says_what_it_shows_and_a_lab_that_it_is_one(browser, book_url):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(book_url + "book/turn-by-hand.html")
    session = context.new_cdp_session(page)
    session.send("Accessibility.enable")
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    words = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "StaticText"]
    assert any(word.startswith("Figure, in words: ") for word in words)
    labs = [word for word in words if word.startswith("A lab stands here. It needs JavaScript")]
    assert len(labs) == 5
    context.close()
