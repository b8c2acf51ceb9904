"""Where the project can be read: all of it follows from the one address in ``pyproject.toml``."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from pathlib import Path

BRANCH = "main"
NOTEBOOKS = "notebooks"
"""The branch that holds the chapters' editions, since Colab opens only files of a repository; also the
folder of a built book from which a page's reader downloads them."""
SOLUTION = "Solution"
"""The title by which a chapter's fold is the solution of an exercise."""


def address(root: Path) -> str:
    """Return the repository's public address, from the one place that states it.

    Parameters
    ----------
    root : Path
        The folder with ``pyproject.toml``.

    Returns
    -------
    str
        For example ``https://github.com/owner/name``, without a slash at the end.

    Raises
    ------
    BkdError
        If ``[project.urls] Repository`` is missing or is no GitHub repository.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    url: str = project.get("urls", {}).get("Repository", "").rstrip("/")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise BkdError(
            f"pyproject.toml: [project.urls] Repository is {url!r}; a GitHub repository's address is needed"
        )
    return url


def colab(url: str) -> str:
    """Return the address under which Colab opens the chapters' editions.

    Examples
    --------
    >>> colab("https://github.com/owner/name")
    'https://colab.research.google.com/github/owner/name/blob/notebooks/'
    """
    there = url.replace("https://github.com/", "https://colab.research.google.com/github/")
    return f"{there}/blob/{NOTEBOOKS}/"


def source(url: str) -> str:
    """Return the address under which the repository shows its files.

    Examples
    --------
    >>> source("https://github.com/owner/name")
    'https://github.com/owner/name/blob/main/'
    """
    return f"{url}/blob/{BRANCH}/"


def site(url: str) -> str:
    """Return the address of the published book.

    Examples
    --------
    >>> site("https://github.com/Owner/name")
    'https://owner.github.io/name/'
    """
    owner, name = url.removeprefix("https://github.com/").split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def solution_id(number: int) -> str:
    """Return the place of a chapter's solution on its page; solutions are counted from one."""
    return f"solution-{number}"
