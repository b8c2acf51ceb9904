"""A chapter on paper: its figures, its labs as they were left, and nothing to press."""

from __future__ import annotations

from test_page import chapters, visit

DRAWN = """[...document.querySelectorAll('.bkd-plotly')].map(
    (figure) => figure.querySelector('.main-svg')?.clientWidth ?? 0)"""
NOTE = f"""addEventListener('beforeprint', () => {{
    window.printed = {{ theme: document.documentElement.dataset.theme, widths: {DRAWN} }};
}})"""
PAPER = 660  # what page.js takes for the width between the margins
VISIBLE = """(selector) => [...document.querySelectorAll(selector)].filter(
    (element) => element.getClientRects().length && getComputedStyle(element).visibility === 'visible'
).map((element) => element.outerHTML.slice(0, 120))"""


def test_a_printed_chapter_has_its_figures_in_light_colors(book, book_url, new_page, tmp_path):
    for name in chapters(book):
        page, record = new_page(dark=True)
        visit(page, book_url + name)
        before, complaints = page.evaluate(DRAWN), record.complaints()
        page.evaluate(NOTE)
        pdf = page.pdf(path=tmp_path / "chapter.pdf", format="A4", print_background=True)
        printed = page.evaluate("window.printed")
        assert printed["theme"] == "light", name
        assert printed["widths"] == [PAPER] * len(before), f"{name}: a figure is missing or cut: {printed}"
        assert pdf.count(b"/Type /Page\n") > 2, name
        assert page.evaluate("document.documentElement.dataset.theme") == "dark", name
        page.wait_for_function(f"(before) => String({DRAWN}) === String(before)", arg=before)
        assert record.complaints() == complaints, name
        page.close()


def test_a_reader_who_sits_still_can_print_the_whole_chapter(book, book_url, new_page):
    """Nothing was scrolled to: the rest is drawn while the page is idle."""
    page, _ = new_page(height=400)
    page.goto(book_url + chapters(book)[0], wait_until="load")
    page.wait_for_function("() => !document.querySelector('.bkd-figure:not([data-drawn])')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.bkd-lab')].every((lab) => lab.querySelector('.bkd-desk'))"
    )
    assert page.evaluate("scrollY") == 0


def test_paper_has_nothing_to_press_and_no_empty_boxes(book, book_url, new_page):
    for name in chapters(book):
        page, _ = new_page()
        visit(page, book_url + name)
        page.emulate_media(media="print")
        for selector in (
            ".bd-sidebar",
            ".bd-header-article",
            ".copybtn",
            ".headerlink",
            ".prev-next-area",
            "#jb-print-docs-body",
        ):
            assert page.evaluate(VISIBLE, selector) == [], f"{name}: {selector}"
        for selector in (
            ".noUi-handle",
            ".bkd-button",
            ".bkd-live",
            ".widget-toggle-buttons button:not(.mod-active)",
        ):
            assert page.evaluate(VISIBLE, f".bkd-lab {selector}") == [], f"{name}: {selector}"
        readouts = page.locator(".bkd-lab .widget-readout").all_inner_texts()
        assert all(text.strip() for text in readouts), f"{name}: a slider without its value"
        said = page.evaluate(
            """() => [...document.querySelectorAll('.bd-article details:not([open]):not(.hide) > summary')]
                .map((summary) => getComputedStyle(summary, '::after').content)"""
        )
        assert all("on the web page" in words for words in said), f"{name}: a closed fold that says nothing"
        page.close()


def test_a_figure_that_was_never_drawn_is_printed_in_words(book, book_url, page):
    page.set_viewport_size({"width": 1200, "height": 300})
    page.goto(book_url + chapters(book)[0], wait_until="load")
    page.emulate_media(media="print")
    words = page.evaluate(
        """() => { const figure = document.querySelector('.bkd-figure:not([data-drawn])');
            return [getComputedStyle(figure, '::before').content, figure.getAttribute('aria-label')]; }"""
    )
    assert words[1] in words[0].replace('\\"', '"')
