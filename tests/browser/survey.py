"""One visit of each page in each view, with all that the tests ask of it on record.

Opening a heavy page is what a browser test takes time for. So each page is opened once in each view, looked
at from all sides while it is open, and the tests of `test_page`, `test_policy`, `test_accessibility` and
`test_print` read what was seen. What changes a page (turning its labs) comes last.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import TimeoutError as NotInTime
from reading import Record, opened, painted, recorded

from bkdwidgets.book.csp import pages

PATIENCE_MS = 60_000  # a busy two-core machine compiles megabytes of script slowly
SOON_MS = 10_000
NARROW = 360


@dataclass(frozen=True)
class View:
    """How a page is looked at.

    Attributes
    ----------
    width : int
        Of the window, in pixels.
    dark : bool
        What the reader's system prefers.
    still : bool
        The reader's system asks for less motion.
    disk : bool
        Opened from the disk, not from a server.
    """

    width: int
    dark: bool = False
    still: bool = False
    disk: bool = False


VIEWS = {
    "desk": View(width=1440),
    "phone": View(width=NARROW, dark=True, still=True),
    "disk": View(width=1440, disk=True),
}


@dataclass
class Visit:
    """What was seen on one page in one view; `record` is what it asked for and complained about.

    Attributes
    ----------
    counts : dict
        How many figures, labs, attention views, failed drawings and nameless slider handles there are.
    too_wide : int
        Pixels by which the page is wider than the window.
    axe, axe_turned : list of str
        What axe-core finds, on the page as it opens and with its labs turned and its folds open.
    unnamed, unreached : list of str
        Controls without a name, and controls of labs that the Tab key does not reach or does not leave.
    moving : list of str
        What moves although the reader asked for less motion.
    violations : list of str
        What the page's policy blocked, before and after every control was used.
    paper : dict
        What would be printed.
    """

    record: Record
    counts: dict[str, int] = field(default_factory=dict)
    too_wide: int = 0
    axe: list[str] = field(default_factory=list)
    axe_turned: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    n_stops: int = 0
    moving: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    paper: dict[str, Any] = field(default_factory=dict)


def names(book: Path) -> list[str]:
    """Return every page a reader can reach, relative to the book."""
    return [path.relative_to(book).as_posix() for path in pages(book)]


def chapters(book: Path) -> list[str]:
    """Return the pages that open in Colab."""
    return [name for name in names(book) if 'class="bkd-bar"' in (book / name).read_text(encoding="utf-8")]


def attending(book: Path) -> list[str]:
    """Return the chapters with an attention view, which CircuitsVis draws."""
    return [name for name in chapters(book) if ">AttentionView<" in (book / name).read_text(encoding="utf-8")]


def with_labs(book: Path) -> list[str]:
    """Return the pages with labs on them."""
    return [name for name in names(book) if 'name="bkd-widgets"' in (book / name).read_text(encoding="utf-8")]


LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) =>
    window.violations.push(`${violatedDirective}: ${blockedURI} in ${sourceFile}`));
"""

COUNTED = {
    "plots": ".bkd-plotly .main-svg",
    "labs": ".bkd-lab .jupyter-widgets",
    "attention views": ".bkd-circuitsvis .bkd-drawing > [aria-hidden] *",
    "failed": ".bkd-failed",
    "strange buttons": ".modebar-btn:not([data-title='Save as a picture (PNG)'])",
    "links in figures": ".bkd-drawing a[href], .bkd-drawing [data-unformatted*='<a ']",
    "nameless handles": ".noUi-handle:not([aria-label])",
}

AXE = """async (part) => {
    const found = await axe.run(part ?? document, { resultTypes: ["violations"] });
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
    const inLabs = ".bkd-lab :is(button, input, select, textarea, summary, [tabindex='0'])";
    const anywhere = "a[href], button, input, select, textarea, summary, [tabindex]";
    const open = (one) => one.checkVisibility() && one.tabIndex >= 0 && !one.closest("[disabled], :disabled");
    const stops = [...document.querySelectorAll(inLabs)].filter(open);
    stops.forEach((one, index) => { one.dataset.stop = index; });
    window.unreached = new Set(stops);
    addEventListener("focusin", ({ target }) => window.unreached.delete(target));
    const outside = [...document.querySelectorAll(anywhere)]
        .filter((one) => open(one) && !one.closest(".bkd-lab"));
    const before = (lab) => outside.findLast(
        (one) => one.compareDocumentPosition(lab) & Node.DOCUMENT_POSITION_FOLLOWING);
    window.walks = [...document.querySelectorAll(".bkd-lab:has([data-stop])")]
        .map((lab) => ({ lab, from: before(lab) }));
    return [stops.length, window.walks.map(({ lab }) => lab.querySelectorAll("[data-stop]").length)];
}"""
BEFORE = "(number) => window.walks[number].from.focus()"
INSIDE = "(number) => window.walks[number].lab.contains(document.activeElement)"
NOT_LEFT = "(number) => `${window.walks[number].lab.id}: Tab does not leave it`"
UNREACHED = """() => [...window.unreached].filter((one) => one.isConnected)
    .map((one) => one.outerHTML.slice(0, 120))"""

MOVING = """() => [...document.querySelectorAll('.bkd-desk, .bkd-desk *, .bd-article *')].filter((one) => {
    const style = getComputedStyle(one);
    return parseFloat(style.transitionDuration) > 0.01
        || (style.animationName !== 'none' && parseFloat(style.animationDuration) > 0.01);
}).map((one) => String(one.className)).slice(0, 5)"""

WIDTHS = """[...document.querySelectorAll('.bkd-plotly')].map(
    (figure) => figure.querySelector('.main-svg')?.clientWidth ?? 0)"""
NOTE = f"""() => addEventListener('beforeprint', () => {{
    window.printed = {{ theme: document.documentElement.dataset.theme, widths: {WIDTHS} }};
}})"""

VISIBLE = """(selector) => [...document.querySelectorAll(selector)].filter(
    (element) => element.getClientRects().length && getComputedStyle(element).visibility === 'visible'
).map((element) => element.outerHTML.slice(0, 120))"""
NOT_FOR_PAPER = (
    ".bd-sidebar", ".bd-header-article", ".copybtn", ".headerlink", ".prev-next-area", "#jb-print-docs-body",
    *(
        f".bkd-lab {selector}"
        for selector in (
            ".noUi-handle", ".bkd-button", ".bkd-live", ".widget-toggle-buttons button:not(.mod-active)"
        )
    ),
)  # fmt: skip
FOLDS = """() => [...document.querySelectorAll('.bd-article details:not([open]):not(.hide) > summary')]
    .map((summary) => getComputedStyle(summary, '::after').content)"""

REACHED = """() => [...document.querySelectorAll("pre, .cell_output > .output")]
    .every((one) => one.scrollWidth <= one.clientWidth || one.tabIndex === 0)"""
QUIET = """() => !document.querySelector(".bkd-growing, .bkd-engine[data-engine='busy']")"""


class Survey:
    """Visits of the book's pages, each made when it is first asked for.

    Parameters
    ----------
    browser : Browser
        An open Chromium.
    book : Path
        Folder of the built book.
    url : str
        Address at which it is served, with a slash at its end.
    axe : Path
        The script of axe-core.
    """

    def __init__(self, browser, book: Path, url: str, axe: Path) -> None:
        self._browser, self._book, self._url, self._axe = browser, book, url, axe
        self._visits: dict[tuple[str, str], Visit | Exception] = {}

    def __call__(self, name: str, view: str) -> Visit:
        """Return what was seen on a page; a visit that failed fails each test that asks for it."""
        key = (name, view)
        if key not in self._visits:
            try:
                self._visits[key] = self._visit(name, VIEWS[view])
            except Exception as error:  # noqa: BLE001 - kept, and raised below
                self._visits[key] = error
        seen = self._visits[key]
        if isinstance(seen, Exception):
            raise seen
        return seen

    def _visit(self, name: str, view: View) -> Visit:
        context = self._browser.new_context(
            viewport={"width": view.width, "height": 1000},
            color_scheme="dark" if view.dark else "light",
            reduced_motion="reduce" if view.still else "no-preference",
        )
        try:
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.add_init_script(LISTEN)
            if not view.disk:
                page.add_init_script(path=self._axe)
            visit = Visit(recorded(page))
            opened(page, (self._book / name).resolve().as_uri() if view.disk else self._url + name)
            self._look(page, name, view, visit)
        finally:
            context.close()
        return visit

    def _look(self, page, name: str, view: View, visit: Visit) -> None:
        labs = name in with_labs(self._book)
        if name in attending(self._book):  # drawn behind its lab
            page.locator(COUNTED["attention views"]).first.wait_for(state="attached")
        visit.counts = {what: page.locator(selector).count() for what, selector in COUNTED.items()}
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        visit.too_wide = page.evaluate(wide)
        visit.unnamed = page.evaluate(UNNAMED)
        if view.still:
            visit.moving = page.evaluate(MOVING)
        if not view.disk:
            visit.axe = _judged(page)
        if name in chapters(self._book):
            if view.dark:
                visit.paper = _printed(page)
            elif not view.disk:
                visit.paper = _for_paper(page)
        if labs and view == VIEWS["desk"]:
            visit.n_stops, visit.unreached = _unreached(page)
        if labs and not view.dark:
            _pressed(page)
        visit.violations = page.evaluate("window.violations")
        if labs and not view.disk:
            page.set_viewport_size({"width": NARROW, "height": 1000})
            _turned(page)
            # What was judged at this width before, and has not changed, is not judged again.
            visit.axe_turned = _judged(page, ".bkd-lab" if view.width == NARROW else None)
        visit.violations = page.evaluate("window.violations")
        visit.counts["failed"] = page.locator(COUNTED["failed"]).count()


def _judged(page, part: str | None = None) -> list[str]:
    """Return what axe-core finds, once the theme has seen what scrolls, a moment after the last change."""
    with suppress(NotInTime):  # axe-core then says what a keyboard does not reach
        page.wait_for_function(REACHED, timeout=SOON_MS)
    return page.evaluate(AXE, part)


def _unreached(page) -> tuple[int, list[str]]:
    """Press Tab through each lab, from what comes before it to what comes after it.

    Returns how many controls the labs have, and which were never reached or keep the focus in their lab. A
    page has hundreds of other stops, and asking it after each key takes longer than the key.
    """
    n_stops, labs = page.evaluate(STOPS)
    kept = []
    for number, n_inside in enumerate(labs):
        page.evaluate(BEFORE, number)
        for _ in range(n_inside + 1):
            page.keyboard.press("Tab")
        for _ in range(n_inside):  # what scrolls is a stop as well
            if not page.evaluate(INSIDE, number):
                break
            page.keyboard.press("Tab")
        else:
            kept.append(page.evaluate(NOT_LEFT, number))
    return n_stops, page.evaluate(UNREACHED) + kept


def _pressed(page) -> None:
    """Turn every slider of a page by one step and press every button of its labs once."""
    for handle in page.locator(".bkd-lab .noUi-handle").all():
        handle.press("ArrowLeft")
    for button in page.locator(".bkd-lab .widget-toggle-buttons button").all():
        button.click()


def _turned(page) -> None:
    """Turn every lab away from what its table knows, and open what is folded."""
    for lab in page.locator(".bkd-desk").all():
        for handle in lab.locator(".noUi-handle").all():
            if handle.is_enabled():
                handle.press("End")
        for cell in lab.locator(".bkd-heat-cell").all()[:3]:
            cell.click()
        for fold in lab.locator("summary").all():
            fold.click()
    painted(page)
    page.wait_for_function(QUIET)


def _printed(page) -> dict[str, Any]:
    """Print a page, and return what it was like while it was printed, and after it."""
    before = page.evaluate(WIDTHS)
    page.evaluate(NOTE)
    with tempfile.TemporaryDirectory() as folder:
        pdf = page.pdf(path=Path(folder) / "chapter.pdf", format="A4", print_background=True)
    page.wait_for_function(f"(before) => String({WIDTHS}) === String(before)", arg=before)
    theme = page.evaluate("document.documentElement.dataset.theme")
    sheets = pdf.count(b"/Type /Page\n")
    return page.evaluate("window.printed") | {"n_figures": len(before), "sheets": sheets, "after": theme}


def _for_paper(page) -> dict[str, Any]:
    """Return what a page shows in print, without printing it."""
    page.emulate_media(media="print")
    shown = {selector: page.evaluate(VISIBLE, selector) for selector in NOT_FOR_PAPER}
    readouts = page.locator(".bkd-lab .widget-readout").all_inner_texts()
    folds = page.evaluate(FOLDS)
    page.emulate_media(media="screen")
    return {
        "to press": {one: told for one, told in shown.items() if told},
        "readouts": readouts,
        "folds": folds,
    }
