# ruff: noqa: INP001, T201 - a script that stands alone and prints
"""Run every chapter top to bottom, as a reader does, and name those that break.

Each chapter runs in its own folder and its own kernel. All of them run, also after one has failed; the exit
code is 1 when any did. Nothing is written back: the chapters stay without outputs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def breaks(chapter: Path, *, timeout: int) -> str:
    """Run one chapter; return what went wrong, or an empty string."""
    notebook = nbformat.read(chapter, as_version=4)
    here = {"metadata": {"path": str(chapter.parent)}}
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources=here)
    try:
        client.execute()
    except Exception as error:  # noqa: BLE001 - a dead kernel or a time-out counts as much as a failing cell
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> int:
    """Run the chapters named on the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the chapters are")
    parser.add_argument("--timeout", type=int, default=1200, help="seconds one cell may take")
    parser.add_argument("--broken", type=Path, help="file that gets the names of broken chapters")
    options = parser.parse_args()

    chapters = sorted(options.folder.rglob("*.ipynb"))
    if not chapters:
        print(f"no chapter below {options.folder}", file=sys.stderr)
        return 2
    broken = []
    for chapter in chapters:
        start = time.monotonic()
        problem = breaks(chapter, timeout=options.timeout)
        print(f"{'BROKEN' if problem else 'ok':6} {chapter} ({time.monotonic() - start:.0f} s)", flush=True)
        if problem:
            broken.append(chapter.as_posix())
            print(problem, flush=True)
    if options.broken:
        options.broken.write_text(", ".join(broken) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
