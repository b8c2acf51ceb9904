"""Build the whole book: gather, execute, render, check.

A cold build is the default: what was built before is removed, every chapter is executed, and a warning
or a failing cell stops the build. A published number can therefore not outlive the code that made it.

An author who changes a word does not want to wait for that. With ``changed=True`` the outputs of chapters
whose cells are as they were are used again, as long as the package, the data and all that is installed are
as they were too; otherwise the build is cold. Every page is made anew either way, from the text and the
ledger as they are now, so no page can be out of date.

The work is nbclient's (`bkdwidgets.book.execution`) and jupyter-book's; this module prepares what they
need (the vendored browser files, the colors as CSS), runs them in processes of their
own, says how long each stage took, and shows the end of their log, readably, when something is wrong. The
subjects that run in a reader's page are put beside the finished pages (`bkdwidgets.browser`), and so are the
notebooks that a reader takes away (`bkdwidgets.book.edition`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from bkdwidgets.book import execution, vendor
from bkdwidgets.book.addresses import NOTEBOOKS
from bkdwidgets.core import theme
from bkdwidgets.core.errors import BkdError

Report = Callable[[str], object]

TAIL = 30
"""At most so many lines of jupyter-book's log are shown after a failure."""

_UNUSED = ("scripts/fontawesome.js*", "vendor/fontawesome", "sphinx-thebe.*", "play-solid.svg", "**/*.map")
"""What the theme copies into ``_static`` and no page of ours asks for (megabytes in all)."""

_OUTPUTS = ".jupyter_cache"
"""Below ``_build``: what the chapters' cells showed; where jupyter-book looks for it."""

_WEIGHTS = "from bkdwidgets.subjects.specs import prepare; prepare()"
"""Fetched and converted before any chapter runs: what that says and draws is this log's, not a page's."""

_EXECUTE = "from bkdwidgets.book.execution import main; main()"
_RUN = "from jupyter_book.cli.main import main; main()"
"""The console script's two lines: the script itself need not be on the PATH."""

_CELL_FAILED = "An error occurred while executing the following cell"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def build(
    *,
    root: Path | str | None = None,
    out: Path | str | None = None,
    strict: bool = True,
    changed: bool = False,
    report: Report = print,
) -> Path:
    """Build the interactive book and return the folder of its pages.

    Parameters
    ----------
    root : path, optional
        The folder with ``_config.yml``, ``_toc.yml`` and ``book/``; by default the clone this package runs
        from, else the current folder.
    out : path, optional
        Where the pages go; by default ``_build/html`` below `root`. An existing folder is replaced only
        if it is empty or holds a built book.
    strict : bool
        Treat each warning as a failure. Cells that raise fail the build either way.
    changed : bool
        Run only chapters whose cells have changed since the last build below `root`. A change of the
        package, the data or what is installed changes them all.
    report : callable
        Where progress is said, one line a stage.

    Returns
    -------
    Path
        The folder with ``index.html``.

    Raises
    ------
    BkdError
        If there is no book at `root`, a part of the toolchain is missing, or the build fails.
    """
    source = clone(root)
    target = Path(out).resolve() if out else source / "_build" / "html"
    if out:
        _check_target(target)
    started = time.monotonic()
    with _stage("browser files", report):
        gathered = vendor.gather(source / "book")
        _place_static(source, gathered)
    work = source / "_build"
    _clear(work, execution.fingerprint(source), changed=changed, report=report)
    with _stage("weights", report):
        _logged(work, [sys.executable, "-c", _WEIGHTS], source)
    with _stage("chapters", report):
        _logged(work, [sys.executable, "-c", _EXECUTE, str(source), str(work / _OUTPUTS)], source)
    with _stage("pages", report):
        built = _jupyter_book(source, work, strict=strict)
    with _stage("live subjects", report):
        _place_live(built / "_static" / "live", gathered)
    with _stage("notebooks", report):
        _write_notebooks(source, built / NOTEBOOKS)
    with _stage("finishing", report):
        _prune(built / "_static")
        if target != built:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(built, target)
    report(f"The book is at {target / 'index.html'} ({time.monotonic() - started:.0f} s)")
    return target


def clone(root: Path | str | None = None) -> Path:
    """Return the folder of the book's sources; see :func:`build`."""
    candidates = [Path(root)] if root else [Path(__file__).resolve().parents[2], Path.cwd()]
    for folder in candidates:
        if (folder / "_config.yml").is_file() and (folder / "book").is_dir():
            return folder.resolve()
    named = " or ".join(str(folder) for folder in candidates)
    raise BkdError(f"no book at {named}: a clone of the repository, with _config.yml and book/, is needed")


def _check_target(target: Path) -> None:
    """Refuse to replace what this builder did not write."""
    if target.is_dir() and (not any(target.iterdir()) or (target / ".buildinfo").is_file()):
        return
    if target.exists():
        raise BkdError(f"{target} exists and is no built book; name an empty or a new folder")


@contextmanager
def _stage(name: str, report: Report) -> Iterator[None]:
    started = time.monotonic()
    yield
    report(f"{name:<20} {time.monotonic() - started:6.1f} s")


def _place_static(source: Path, gathered: Path) -> None:
    """Put the vendored files, and the theme as CSS, where ``_config.yml`` points to."""
    place = source / "book" / "_vendor"
    shutil.rmtree(place, ignore_errors=True)
    # The live subjects' modules import the tokenizer: it goes with them, not with the pages' scripts.
    shutil.copytree(
        gathered / "vendor", place / "static" / "vendor", ignore=shutil.ignore_patterns(vendor.TOKENIZERS)
    )
    shutil.copytree(gathered / "licenses", place / "extra" / "licenses")
    (place / "static" / "theme.css").write_text(_theme_css(), encoding="utf-8")


def _place_live(place: Path, gathered: Path) -> None:
    """Put everything from which a page runs a subject where the pages' ``bkd-live`` points to."""
    from bkdwidgets.browser import write_site  # draws torch in; only a build needs it

    write_site(place, tokenizers=gathered / "vendor" / vendor.TOKENIZERS)


def _write_notebooks(source: Path, folder: Path) -> None:
    """Write the editions of the chapters that readers take away."""
    from bkdwidgets.book import edition  # draws Sphinx in; only a build needs it

    edition.write_all(source, folder)


def _theme_css() -> str:
    """Return the theme's custom properties."""
    return theme.css()


def _clear(work: Path, fingerprint: str, *, changed: bool, report: Report) -> None:
    """Remove what was built before, except outputs that may be used again."""
    stamp = work / _OUTPUTS / "fingerprint"
    if changed and not (stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint):
        report("package, data or installation are not those of the last build: every chapter runs")
        changed = False
    for path in list(work.iterdir()) if work.is_dir() else []:
        if path.is_file():
            path.unlink()
        elif not (changed and path.name == _OUTPUTS):
            shutil.rmtree(path)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(fingerprint, encoding="utf-8")


def _jupyter_book(source: Path, work: Path, *, strict: bool) -> Path:
    """Run jupyter-book and return its folder of pages."""
    command = [sys.executable, "-c", _RUN, "build", str(source), "--path-output", str(source), "--all"]
    _logged(work, [*command, *(["-W", "--keep-going"] if strict else [])], source)
    pages = work / "html"
    if not (pages / "index.html").is_file():
        raise _failure(work / "build.log")
    return pages


def _logged(work: Path, command: list[str], source: Path) -> None:
    """Run a command with its output at the end of the build's log."""
    log = work / "build.log"
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(  # noqa: S603 - a fixed command line, no shell
            command, cwd=source, env=_environment(), check=False,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    if done.returncode:
        raise _failure(log)


def _failure(log: Path) -> BkdError:
    return BkdError(f"the book did not build (all of it in {log}):\n{_why(log.read_text(encoding='utf-8'))}")


def _environment() -> dict[str, str]:
    """Return the environment of the build and of the kernels it starts."""
    package_root = str(Path(__file__).resolve().parents[2])
    threads = max(
        1, (os.cpu_count() or 1) // execution.AT_ONCE
    )  # a kernel that takes all cores slows the other
    python_path = os.pathsep.join(part for part in (package_root, os.environ.get("PYTHONPATH")) if part)
    return (
        {"OMP_NUM_THREADS": str(threads)}
        | os.environ
        | {
            "BKDWIDGETS_STATIC": "1",
            "PYTHONPATH": python_path,
            "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one in the user's home
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "TQDM_DISABLE": "1",  # in this log; a notebook's bars do not listen to it
            "NO_COLOR": "1",
        }
    )


def _why(log: str) -> str:
    """Return the part of a log that a person needs: a failed cell, else the warnings, else its end."""
    lines = [line.rstrip() for line in _ANSI.sub("", log).splitlines() if line.strip()]
    cells = [number for number, line in enumerate(lines) if _CELL_FAILED in line]
    if cells:
        block = list(takewhile(lambda line: not line.startswith("The above exception"), lines[cells[-1] :]))
        named = [line for line in lines if line.startswith("myst_nb") and "ExecutionError" in line]
        block = block if len(block) <= TAIL else [*block[: TAIL // 2], "...", *block[-TAIL // 2 :]]
        return _indented([*named[-1:], *block])
    complaints = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL): ", line)]
    return _indented(complaints[:TAIL] or lines[-TAIL:])


def _indented(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _prune(static: Path) -> None:
    for pattern in _UNUSED:
        for path in list(static.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
