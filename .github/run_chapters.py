# ruff: noqa: INP001, T201 - a script that stands alone and prints
"""Run every chapter's notebooks top to bottom, as a reader does, and name those that break.

The folder holds the editions that readers get: each chapter's student notebook, and below ``solutions`` the
one that has the same cells and, behind them, the solutions. So where there are solutions, that one runs, once
it is seen to begin with the student's cells. Each runs in its own folder and its own kernel. The first
chapter runs alone, since it may install the package; the others two at a time. All of them run, also after
one has failed; the exit code is 1 when any did. Nothing is written back.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

AT_ONCE = 2


def code(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the source of the code cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def breaks(chapter: Path, *, timeout: int) -> str:
    """Run one chapter, with its solutions if it has any; return what went wrong, or an empty string."""
    notebook = nbformat.read(chapter, as_version=4)
    solved = chapter.parent / "solutions" / chapter.name
    if solved.exists():
        first = code(notebook)
        notebook = nbformat.read(solved, as_version=4)
        if code(notebook)[: len(first)] != first:
            print(f"BROKEN {chapter}: {solved} does not begin with its cells", flush=True)
            return "other cells"
    here = {"metadata": {"path": str(chapter.parent)}}
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources=here)
    start = time.monotonic()
    try:
        client.execute()
    except Exception as error:  # noqa: BLE001 - a dead kernel or a time-out counts as much as a failing cell
        problem = f"{type(error).__name__}: {error}"
    else:
        problem = ""
    print(f"{'BROKEN' if problem else 'ok':6} {chapter} ({time.monotonic() - start:.0f} s)", flush=True)
    if problem:
        print(problem, flush=True)
    return problem


def main() -> int:
    """Run the chapters named on the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the editions are")
    parser.add_argument("--timeout", type=int, default=1200, help="seconds one cell may take")
    parser.add_argument("--broken", type=Path, help="file that gets the names of broken chapters")
    options = parser.parse_args()

    chapters = sorted(options.folder.glob("*.ipynb"))
    if not chapters:
        print(f"no chapter in {options.folder}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = [breaks(chapters[0], timeout=options.timeout)]
        said += pool.map(lambda chapter: breaks(chapter, timeout=options.timeout), chapters[1:])
    broken = [chapter.as_posix() for chapter, problem in zip(chapters, said, strict=True) if problem]
    if options.broken:
        options.broken.write_text(", ".join(broken) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
