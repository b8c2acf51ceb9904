# ruff: noqa: INP001, T201 - a script that stands alone and prints
"""Run every chapter top to bottom, as a reader does, and name those that break.

Each chapter runs in its own folder and its own kernel, and then the solutions of its exercises in the same
kernel. The first chapter runs alone, since it may install the package; the others two at a time. All of them
run, also after one has failed; the exit code is 1 when any did. Nothing is written back.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

AT_ONCE = 2
_BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def solutions(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the Python of a chapter's solutions, in order: the fenced blocks below ``## Exercises``."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [textwrap.dedent(code) for _, code in _BLOCK.findall(prose.partition("## Exercises")[2])]


def breaks(chapter: Path, *, timeout: int) -> str:
    """Run one chapter; return what went wrong, or an empty string."""
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells += [
        nbformat.v4.new_code_cell(code, id=f"solution-{number:02}")
        for number, code in enumerate(solutions(notebook), start=1)
    ]
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
    parser.add_argument("folder", type=Path, help="where the chapters are")
    parser.add_argument("--timeout", type=int, default=1200, help="seconds one cell may take")
    parser.add_argument("--broken", type=Path, help="file that gets the names of broken chapters")
    options = parser.parse_args()

    chapters = sorted(options.folder.rglob("*.ipynb"))
    if not chapters:
        print(f"no chapter below {options.folder}", file=sys.stderr)
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
