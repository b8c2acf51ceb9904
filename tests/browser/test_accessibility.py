"""Every page can be read and worked by everybody: axe-core finds nothing, the keyboard reaches everything.

axe-core is fetched by npm, pinned by its hash in ``package-lock.json`` beside this file. No page ships it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from reading import scroll_through

from bkdwidgets.book.policy import pages

if TYPE_CHECKING:
    from pathlib import Path

VIEWS = [(1440, False), (360, True)]  # both widths, both papers

CHECK = """async () => {
    const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations.flatMap((one) => one.nodes.map((node) =>
        `${one.id}: ${node.target.flat().join(" ")} (${node.any.concat(node.all, node.none).map((part) => part.message)[0]})`));
}"""  # noqa: E501

UNNAMED = """() => [...document.querySelectorAll(
        "a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1'])")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)
    .filter((one) => !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.title
        || one.labels?.length || one.textContent.trim() || one.getAttribute("placeholder")
        || one.querySelector("title, img[alt]")))
    .map((one) => one.outerHTML.slice(0, 120))"""


STOPS = """() => {
    const all = [...document.querySelectorAll(
            ".bkd-lab :is(button, input, select, textarea, summary, [tabindex='0'])")]
        .filter((one) => one.checkVisibility() && one.tabIndex >= 0 && !one.closest("[disabled], :disabled"));
    all.forEach((one, index) => { one.dataset.stop = index; });
    all[0].focus();
    return [all.length, document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex], pre").length];
}"""  # noqa: E501

TOLD = """(missed) => missed.map((index) =>
    document.querySelector(`[data-stop="${index}"]`)?.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="session")
def axe(npm_modules) -> Path:
    """Return the script of axe-core."""
    return npm_modules / "axe-core" / "axe.min.js"


@pytest.fixture
def visit(axe, book_url, new_page):
    """Return a function that opens a page of the book, draws all of it, and can be checked."""

    def opened(name: str, *, width: int = 1440, dark: bool = False):
        page, _ = new_page(width=width, dark=dark)
        page.add_init_script(path=axe)
        page.goto(book_url + name, wait_until="load")
        page.wait_for_load_state("networkidle")
        scroll_through(page)
        return page

    return opened


def with_labs(book: Path) -> list[str]:
    names = [path.relative_to(book).as_posix() for path in pages(book)]
    return [name for name in names if 'name="bkd-widgets"' in (book / name).read_text(encoding="utf-8")]


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_axe_finds_nothing_on_any_page(book, visit, width, dark):
    found = {}
    for path in pages(book):
        name = path.relative_to(book).as_posix()
        page = visit(name, width=width, dark=dark)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found[name] = page.evaluate(CHECK) + [f"{wide} px too wide"] * (wide > 0)
        page.close()
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_the_states_of_a_lab(book, visit, dark):
    """Turn every lab away from what its table knows, and open what is folded."""
    for name in with_labs(book):
        page = visit(name, width=360, dark=dark)
        for lab in page.locator(".bkd-desk").all():
            for handle in lab.locator(".noUi-handle").all():
                if handle.is_enabled():
                    handle.press("End")
            for cell in lab.locator(".bkd-heat-cell").all()[:3]:
                cell.click()
            for fold in lab.locator("summary").all():
                fold.click()
        page.wait_for_timeout(1000)
        assert page.evaluate(CHECK) == [], name
        page.close()


def test_every_control_is_reached_by_tab_and_has_a_name(book, visit):
    for name in with_labs(book):
        page = visit(name)
        assert page.evaluate(UNNAMED) == [], name
        wanted, on_page = page.evaluate(STOPS)
        assert wanted > 5
        seen = set()
        for _ in range(on_page):
            if len(seen - {""}) == wanted:
                break
            seen.add(page.evaluate("document.activeElement.dataset.stop ?? ''"))
            page.keyboard.press("Tab")
        missed = {str(index) for index in range(wanted)} - seen
        told = page.evaluate(TOLD, sorted(missed))
        assert [one for one in told if one] == [], name
        page.close()


def test_reduced_motion_is_honored(book, book_url, browser):
    for name in with_labs(book):
        context = browser.new_context(reduced_motion="reduce")
        page = context.new_page()
        page.goto(book_url + name, wait_until="load")
        scroll_through(page)
        moving = page.evaluate(
            "() => [...document.querySelectorAll('.bkd-desk, .bkd-desk *, .bd-article *')].filter((one) => { "
            "const style = getComputedStyle(one); return parseFloat(style.transitionDuration) > 0.01 || "
            "(style.animationName !== 'none' && parseFloat(style.animationDuration) > 0.01); })"
            ".map((one) => one.className).slice(0, 5)"
        )
        assert moving == [], name
        context.close()
