"""The built book in a real browser, with everything it asks for and complains about on record.

``BKDWIDGETS_BOOK`` names a book that is already built; otherwise one is built for the session. Where no
Chromium is found the tests skip and say so; under CI (``CI`` is set) that is a failure.
"""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from reading import SUB_PATH, opened, recorded
from survey import PATIENCE_MS, Survey

from bkdwidgets.book.server import listen
from bkdwidgets.core import npm
from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a built book."""
    named = os.environ.get("BKDWIDGETS_BOOK")
    if named:
        folder = Path(named)
        assert (folder / "index.html").is_file(), f"BKDWIDGETS_BOOK={named} holds no built book"
        return folder
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.fail(
            "each process would build a book of its own: name a built one, BKDWIDGETS_BOOK=_build/html"
        )
    pytest.importorskip("jupyter_book", reason="building the book needs the extra 'book'")
    from bkdwidgets.book import build

    return build(out=tmp_path_factory.mktemp("book") / "html")


@pytest.fixture(scope="session")
def site(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a site that has the book below a sub-path, as hosts of many projects do."""
    root = tmp_path_factory.mktemp("site")
    place = root / SUB_PATH
    place.parent.mkdir(parents=True)
    place.symlink_to(book.resolve(), target_is_directory=True)
    return root


@pytest.fixture(scope="session")
def book_url(site: Path) -> Iterator[str]:
    """Serve the site on this machine and return the book's address, with a slash at its end."""
    with listen(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{SUB_PATH}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Open Chromium once; a fresh context per page keeps tests apart."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need the extra 'test'")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with playwright.sync_playwright() as driver:
        found = found or (
            driver.chromium.executable_path if Path(driver.chromium.executable_path).is_file() else None
        )
        if not found:
            missing = "no Chromium found: install the package chromium, or run: playwright install chromium"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        opened = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def npm_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what ``package-lock.json`` pins, or skip where npm cannot fetch it."""
    try:
        return npm.install(Path(__file__).parent, tmp_path_factory.mktemp("npm") / "npm")
    except BkdError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def axe(npm_modules) -> Path:
    """Return the script of axe-core, which is fetched by npm; no page ships it."""
    return npm_modules / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def survey(browser, book, book_url, axe) -> Survey:
    """Return the visits of the session: ``survey("book/probe.html", "phone")``."""
    return Survey(browser, book, book_url, axe)


@pytest.fixture(scope="module")
def tour(browser, book_url):
    """The tour of ten minutes, open for all tests of a module: each says what it needs before it acts."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.record = recorded(page)
    yield opened(page, book_url + "book/turn-by-hand.html")
    assert page.record.complaints() == []
    assert page.record.outside() == []
    context.close()


@pytest.fixture
def new_page(browser):
    """Return a function that opens a page and its `Record`: ``page, record = new_page(width=390)``."""
    contexts = []

    def opened(*, width: int = 1440, height: int = 1000, dark: bool = False):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        return page, recorded(page)

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page):
    """A desktop page; what it recorded is ``page.record``."""
    opened, record = new_page()
    opened.record = record
    return opened
