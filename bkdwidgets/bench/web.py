"""The subjects in a browser: what a reader downloads, waits for and gives memory to.

A headless Chromium opens the benchmark page (``page/``; anybody can open it by hand, too) on a folder
written as the book's build writes it, served on this machine. Medians over the runs count; what the
project promises stands beside them as a limit. The memory is that of the page's whole process.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import statistics
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from bkdwidgets.bench.machine import machine
from bkdwidgets.book import vendor
from bkdwidgets.book.server import listen
from bkdwidgets.browser import write_site
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.specs import spec_of, subjects_with_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bkdwidgets.subjects.spec import PageSpec

FIRST_ANSWER = "first_answer"
"""Among a subject's limits: until a reader who has nothing yet gets an answer."""

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_PAGE = Path(__file__).resolve().parent / "page"
_BOOK = Path(__file__).resolve().parents[2] / "book"
_PATIENCE_MS = 600_000


def bench_web(*, runs: int = 20, progress: bool = True) -> dict[str, Any]:
    """Measure the subjects that readers have in their pages, in a headless Chromium.

    Parameters
    ----------
    runs : int
        Repeats of each timing; the median counts.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        ``machine``, ``browser``, and ``results``: for each subject a list of rows ``what``, ``unit``,
        ``median``, ``runs``, ``limit`` (None where nothing is promised) and ``met``.

    Raises
    ------
    BkdError
        If playwright, Chromium or the book's browser files are missing.
    """
    if runs < 1:
        raise BkdError(f"runs={runs} is not allowed; at least 1")
    pages = _pages(subjects_with_page())
    n_first = sum(FIRST_ANSWER in page.limits_ms for page in pages.values())
    with (
        tempfile.TemporaryDirectory(prefix="bkdwidgets-") as name,
        tqdm(total=1 + len(pages) + n_first * runs, desc="browser", disable=not progress, leave=False) as bar,
    ):
        sizes = write_bench_site(Path(name), list(pages))
        bar.update()
        with _served(Path(name)) as address, chromium() as browser:
            results = {}
            for subject, spec in pages.items():
                rows = [
                    _row(
                        "download with a backdoor and its control",
                        "MB",
                        sizes[subject],
                        1,
                        spec.download_mb,
                    )
                ]
                rows += _timed(browser, address, subject, runs)
                held = _memory(browser, address, subject)
                if held is not None:
                    rows.append(_row("memory of the page", "MB", held, 1, spec.memory_mb))
                results[subject] = rows
                bar.update()
            for subject, spec in pages.items():
                if (limit := spec.limits_ms.get(FIRST_ANSWER)) is not None:
                    median = _first_answer(browser, address, subject, runs, bar)
                    what = "first answer, nothing loaded before"
                    results[subject].append(_row(what, "ms", median, runs, limit))
            return {"machine": machine(), "browser": browser.version, "results": results}


def write_bench_site(folder: Path, subjects: Sequence[str]) -> dict[str, float]:
    """Write the benchmark page and ``live/`` below it; return each subject's first download in MB."""
    if not _BOOK.is_dir():
        raise BkdError(f"no book at {_BOOK}: this benchmark needs a clone of the repository")
    shutil.copytree(_PAGE, folder, dirs_exist_ok=True)
    described = {name: dataclasses.asdict(page) for name, page in _pages(subjects).items()}
    (folder / "subjects.json").write_text(json.dumps(described), encoding="utf-8")
    tokenizers = vendor.gather(_BOOK) / "vendor" / vendor.TOKENIZERS
    exports = write_site(folder / "live", tokenizers=tokenizers, subjects=subjects)
    code = sum(path.stat().st_size for path in (folder / "live").iterdir() if path.is_file())
    return {export.subject: (export.first_bytes + code) / 1e6 for export in exports}


def _pages(subjects: Sequence[str]) -> dict[str, PageSpec]:
    return {name: page for name in subjects if (page := spec_of(name).page) is not None}


@contextmanager
def chromium() -> Iterator[Any]:
    """Open a headless Chromium, the machine's own or playwright's."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise BkdError(
            "playwright is not installed; install it with: pip install 'bkdwidgets[test]'"
        ) from None
    own = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as driver:
        found = own or driver.chromium.executable_path
        if not Path(found).is_file():
            raise BkdError("no Chromium found: install the package chromium, or: playwright install chromium")
        browser = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def outline(found: dict[str, Any]) -> list[str]:
    """Return the results as lines for people."""
    lines = [f"{found['machine']['processor']}, Chromium {found['browser']}, load {found['machine']['load']}"]
    for subject, rows in found["results"].items():
        lines.append(subject)
        for row in rows:
            limit = "" if row["limit"] is None else f"  at most {row['limit']:g} {row['unit']}"
            verdict = {None: "", True: "  met", False: "  NOT MET"}[row["met"]]
            runs = f"  ({row['runs']} runs)" if row["runs"] > 1 else ""
            lines.append(f"  {row['what']:<42} {row['median']:9.2f} {row['unit']}{limit}{verdict}{runs}")
    return lines


def _row(what: str, unit: str, median: float, runs: int, limit: float | None) -> dict[str, Any]:
    met = None if limit is None else median <= limit
    return {
        "what": what,
        "unit": unit,
        "median": round(median, 3),
        "runs": runs,
        "limit": limit,
        "met": met,
    }


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    with listen(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def _opened(browser: Any, address: str) -> Iterator[Any]:
    """Open the benchmark page for a reader who was never there."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(address)
    try:
        yield page
    finally:
        context.close()


def _timed(browser: Any, address: str, subject: str, runs: int) -> list[dict[str, Any]]:
    with _opened(browser, address) as page:
        rows = page.evaluate(
            "async ([name, runs]) => (await import('./bench.js')).measure(name, { runs })", [subject, runs]
        )
    return [_row(row["what"], row["unit"], row["median"], row["runs"], row["limit"]) for row in rows]


def _first_answer(browser: Any, address: str, subject: str, runs: int, bar: tqdm[None]) -> float:
    """Return the median time to a subject's first answer, each time for a reader with an empty cache."""
    taken = []
    for _ in range(runs):
        with _opened(browser, address) as page:
            script = "async (name) => (await import('./bench.js')).firstAnswer(name)"
            taken.append(page.evaluate(script, subject))
        bar.update()
    return statistics.median(taken)


def _memory(browser: Any, address: str, subject: str) -> float | None:
    """Return what the page's process holds with a loaded subject, in MB; None where that cannot be read."""
    with _opened(browser, address) as page:
        page.evaluate("async (name) => (await import('./bench.js')).hold(name)", subject)
        processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        held = [_resident(item["id"]) for item in processes if item["type"] == "renderer"]
    found = [value for value in held if value is not None]
    return max(found, default=None)


def _resident(process: int) -> float | None:
    """Return the memory of a process that is in use and its own, in MB (Linux only)."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None
