"""Reading a page as a person does, with a record of what it asked for and complained about."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import TimeoutError as NotInTime

SUB_PATH = "some/sub-path"
UNDRAWN = """() => [
    ...[...document.querySelectorAll(".bkd-figure")].filter((figure) => figure.dataset.drawn !== "true"),
    ...[...document.querySelectorAll(".bkd-lab")].filter((lab) => !lab.querySelector(".widget-subarea > *")),
    ...[...document.querySelectorAll("meta[name=bkd-math]")]
        .filter(() => !document.querySelector("mjx-container")),
].map((element) => `${element.className} ${element.id}: ${element.innerText.slice(0, 200)}`)"""


@dataclass
class Record:
    """What a page asked for and complained about."""

    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def outside(self) -> list[str]:
        """Requests to anything but this machine."""
        local = {"127.0.0.1"}
        return [url for url in self.requests if urlsplit(url).scheme in {"http", "https", "ws", "wss"}
                and urlsplit(url).hostname not in local]  # fmt: skip

    def complaints(self) -> list[str]:
        """Page errors, console errors and requests that failed."""
        return [*self.errors, *self.failed]


def recorded(page) -> Record:
    """Attach a `Record` to a page."""
    record = Record()
    page.on("request", lambda request: record.requests.append(request.url))
    page.on("requestfailed", lambda request: record.failed.append(f"{request.url}: {request.failure}"))
    page.on(
        "response",
        lambda answer: answer.status < 400 or record.failed.append(f"{answer.url}: {answer.status}"),
    )
    page.on("pageerror", lambda error: record.errors.append(f"page error: {error}"))
    page.on(
        "console",
        lambda said: record.errors.append(f"console: {said.text}") if said.type == "error" else None,
    )
    return record


def painted(page) -> None:
    """Wait until the page was painted twice: what an observer or an animation frame does is done."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def scroll_through(page, *, pause_ms: int = 150) -> None:
    """Scroll to the end as a reader would, wait until what is drawn lazily is drawn, and go back.

    Slow: what is drawn while a reader scrolls is tested once; all other tests unroll the page.
    """
    page.evaluate(
        """async (pause) => {
            for (let y = 0; y < document.documentElement.scrollHeight; y += 500) {
                scrollTo(0, y);
                await new Promise((done) => setTimeout(done, pause));
            }
        }""",
        pause_ms,
    )
    drawn(page)
    page.evaluate("scrollTo(0, 0)")


def unrolled(page) -> None:
    """Draw all of a page at once: make the window as tall as the page, wait, and make it as it was.

    A page that draws nothing lazily (the appendices, which are long) is drawn already.
    """
    if not page.query_selector(".bkd-figure, .bkd-lab, meta[name=bkd-widgets]"):
        return
    before = page.viewport_size
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": before["width"], "height": max(height, before["height"])})
    drawn(page)
    page.set_viewport_size(before)


def opened(page, url: str):
    """Go to an address, wait until the network is quiet and draw all of the page; return it."""
    page.goto(url, wait_until="load")
    page.wait_for_load_state("networkidle")
    unrolled(page)
    return page


def drawn(page) -> None:
    """Wait until each figure and each lab of a page is drawn; what never is, is named with what it says."""
    try:
        page.wait_for_function(f"() => !({UNDRAWN})().length")
    except NotInTime as error:
        raise AssertionError(f"{page.url}: never drawn: {page.evaluate(UNDRAWN)}") from error
