"""The notebooks that readers get: made from a chapter, with plain text and without its solutions.

A chapter is one ``.ipynb``, from which the page is built. A reader who takes it away gets an edition of it:

- the **student's**: numbers stand in the text, hints are folded, and where a solution is, a link leads to the
  page's folded one;
- the one **with solutions**: the same cells, and behind each exercise its solution, whose Python is cells.

Each installs the version that it was made from. The builder puts both beside the pages, the publishing
workflow on the branch from which Colab opens them.
"""

from __future__ import annotations

import subprocess
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

from bkdwidgets import __version__
from bkdwidgets.book import execution, plain
from bkdwidgets.book.addresses import SOLUTION, colab, solution_id
from bkdwidgets.book.references import References
from bkdwidgets.core.errors import BkdError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

_INSTALLED = ("bkdwidgets", "data", "pyproject.toml", "book")
"""What an edition is made from, and what its install cell installs."""


def edition(root: Path, chapter: str, *, solutions: bool = False) -> NotebookNode:
    """Return a chapter as a notebook for readers.

    Parameters
    ----------
    root : Path
        The clone: a folder with ``pyproject.toml``, ``_toc.yml`` and ``book/``.
    chapter : str
        The name of its file without the suffix, for example ``"ablate"``.
    solutions : bool
        Put the solutions behind their exercises, instead of links to the page's folded ones.

    Raises
    ------
    BkdError
        If there is no such chapter, it has no solutions to put in, or its text holds what a notebook cannot
        show.
    """
    path = source(root, chapter)
    references = References(root, path.relative_to(root).with_suffix("").as_posix())
    notebook = nbformat.read(path, as_version=4)
    has_solutions = _has_solutions(notebook)
    if solutions and not has_solutions:
        raise BkdError(f"the chapter {chapter!r} has no solutions")
    commit = made_from(root)
    numbers = count(1)
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            cells.append(_pinned(cell, references, commit))
        elif solutions:
            cells += _with_solutions(cell, references)
        else:
            cells.append(_without(cell, references, numbers))
    kind = solutions if has_solutions else None
    note = nbformat.v4.new_markdown_cell(_note(references, chapter, commit, solutions=kind), id="edition")
    notebook.cells = [*cells[:1], note, *cells[1:]]
    return notebook


def write(root: Path, chapter: str, target: Path, *, solutions: bool = False) -> None:
    """Write an edition of a chapter; see :func:`edition`.

    Raises
    ------
    BkdError
        If there is a file already: it may be the chapter itself, or somebody's work.
    """
    made = edition(root, chapter, solutions=solutions)
    try:
        with target.open("x", encoding="utf-8") as file:
            nbformat.write(made, file)
    except FileExistsError:
        raise BkdError(f"{target} exists; name another file with --out") from None
    except OSError as error:
        raise BkdError(f"cannot write {target}: {error.strerror}") from error


def write_all(root: Path, folder: Path) -> None:
    """Write every chapter's editions into a new folder, those with solutions into ``solutions`` below it."""
    (folder / "solutions").mkdir(parents=True)
    for path in execution.chapters(root):
        write(root, path.stem, folder / path.name)
        if _has_solutions(nbformat.read(path, as_version=4)):
            write(root, path.stem, folder / "solutions" / path.name, solutions=True)


def source(root: Path, chapter: str) -> Path:
    """Return the file of a chapter that the table of contents lists."""
    listed = {path.stem: path for path in execution.chapters(root)}
    if chapter not in listed:
        raise unknown("chapter", chapter, listed)
    return listed[chapter]


def made_from(root: Path) -> str | None:
    """Return the commit that an edition is made from; None where the files are those of no commit."""
    arguments = (
        ["rev-parse", "--show-toplevel"],
        ["rev-parse", "HEAD"],
        ["status", "--porcelain", "--untracked-files=no", "--", *_INSTALLED],
    )
    commands = [["git", "-C", str(root), *words] for words in arguments]
    try:
        top, commit, changed = (
            subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    is_clone = Path(top.strip()).resolve() == root.resolve()  # and no archive that lies in somebody's clone
    return commit.strip() if is_clone and not changed else None


def _note(references: References, chapter: str, commit: str | None, *, solutions: bool | None) -> str:
    """Return what a reader has to know about an edition; `solutions` is None for a chapter that has none."""
    url = references.address
    version = f"bkdwidgets {__version__}" + (f" at [{commit[:12]}]({url}/tree/{commit})" if commit else "")
    made = f"Made from [the page of this chapter]({references.published()}), {version}."
    if solutions is None:
        return made
    if solutions:
        student = f"{colab(url)}{chapter}.ipynb"
        return (
            f"{made} Each exercise is followed by its solution; [the same notebook without them]({student})."
        )
    teacher = f"{colab(url)}solutions/{chapter}.ipynb"
    return (
        f"{made} Hints are folded. The solutions are folded on the page, and stand as cells in "
        f"[a second notebook]({teacher})."
    )


def _pinned(cell: NotebookNode, references: References, commit: str | None) -> NotebookNode:
    """Let the cell that installs the package install the version that the edition is made from."""
    pinned = deepcopy(cell)
    if commit:
        install = f'git+{references.address}"'
        pinned.source = cell.source.replace(install, f'{install[:-1]}@{commit}"')
    return pinned


def _without(cell: NotebookNode, references: References, numbers: Iterator[int]) -> NotebookNode:
    """Return a text cell with a link in the place of each solution."""
    made = deepcopy(cell)
    page = references.published()
    made.source = "\n\n".join(
        f"[Solution, folded on the page]({page}#{solution_id(next(numbers))})"
        if is_solution
        else plain.plain(text, references)
        for is_solution, text in pieces(cell.source)
    )
    return made


def _with_solutions(cell: NotebookNode, references: References) -> list[NotebookNode]:
    """Return a text cell as several: what stands around the solutions, their text, and their Python."""
    parts: list[tuple[str, str]] = []
    for is_solution, text in pieces(cell.source):
        if is_solution:
            parts += [("markdown", "**Solution**"), *_cells_of(text)]
        else:
            parts.append(("markdown", text))
    made = []
    for number, (kind, text) in enumerate(_joined(parts)):
        name = cell.id if number == 0 else f"{cell.id}-{number}"
        if kind == "code":
            made.append(nbformat.v4.new_code_cell(text, id=name))
        else:
            made.append(nbformat.v4.new_markdown_cell(plain.plain(text, references), id=name))
    return made


def pieces(text: str) -> list[tuple[bool, str]]:
    """Take a text cell apart: the bodies of its solutions, and what stands around them.

    Returns
    -------
    list of (bool, str)
        Whether it is a solution, and its text.
    """
    lines = text.split("\n")
    found = []
    begin = 0
    for item in plain.directives(text):
        if item.level == 0 and item.name == "dropdown" and item.title == SOLUTION:
            found += [(False, "\n".join(lines[begin : item.first])), (True, item.body)]
            begin = item.end
    found.append((False, "\n".join(lines[begin:])))
    return [(is_solution, part.strip("\n")) for is_solution, part in found if part.strip()]


def _has_solutions(notebook: NotebookNode) -> bool:
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return any(is_solution for text in texts for is_solution, _ in pieces(text))


def _cells_of(solution: str) -> list[tuple[str, str]]:
    """Take a solution apart: its Python, and what stands around it."""
    lines = solution.split("\n")
    found = []
    begin = 0
    for token in plain.parsed(solution):
        if token.type == "fence" and token.info.strip() == "python" and token.map:
            if token.level:
                raise BkdError(
                    f"{token.content[:40]!r}: a solution's Python stands in no list, so that it can run"
                )
            found += [
                ("markdown", "\n".join(lines[begin : token.map[0]])),
                ("code", token.content.rstrip("\n")),
            ]
            begin = token.map[1]
    found.append(("markdown", "\n".join(lines[begin:])))
    return [(kind, text.strip("\n")) for kind, text in found if text.strip()]


def _joined(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put texts that follow each other into one cell."""
    joined: list[tuple[str, str]] = []
    for kind, text in parts:
        if kind == "markdown" and joined and joined[-1][0] == kind:
            joined[-1] = (kind, f"{joined[-1][1]}\n\n{text}")
        else:
            joined.append((kind, text))
    return joined
