"""Run the cells of the chapters, two chapters at a time, and keep what they showed.

Each chapter runs top to bottom in a kernel of its own, as a reader runs it. What its cells showed goes into
a jupyter-cache under a hash of the cells, and myst-nb takes it from there when it makes the page. So the
chapters need not wait for each other, and a page whose prose alone has changed is made without its cells.

The hash knows the cells and nothing else. What they import and read is known by :func:`fingerprint`: outputs
that were kept under another one must not be used.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bkdwidgets.core import paths

if TYPE_CHECKING:
    from jupyter_cache.base import JupyterCacheAbstract  # type: ignore[import-untyped]
    from nbformat import NotebookNode

AT_ONCE = 2
"""So many chapters run side by side. A kernel with a subject in it takes about two gigabytes of memory."""

_MADE_AT_WILL = {"__pycache__", ".ipynb_checkpoints"}


def run(root: Path, cache: Path) -> list[str]:
    """Run the chapters of a book whose outputs are not in the cache yet, and put them there.

    Parameters
    ----------
    root : Path
        The folder with ``_config.yml`` and ``_toc.yml``.
    cache : Path
        The folder of the jupyter-cache.

    Returns
    -------
    list of str
        What went wrong, one text for each chapter that broke; the others are in the cache.
    """
    import yaml  # type: ignore[import-untyped]
    from jupyter_cache import get_cache  # type: ignore[import-untyped]

    timeout: int = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["execute"]["timeout"]
    kept = get_cache(str(cache))
    return asyncio.run(_run_all([_Chapter(path, kept, timeout) for path in chapters(root)]))


def chapters(root: Path) -> list[Path]:
    """Return the notebooks that a book's table of contents lists, in its order."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    listed = (root / f"{name}.ipynb" for name in parse_toc_yaml(str(root / "_toc.yml")))
    return [path for path in listed if path.is_file()]


def fingerprint(root: Path) -> str:
    """Return a hash of all that a chapter's cells can read: the package, the data, what is installed.

    Parameters
    ----------
    root : Path
        The folder with ``_config.yml`` and ``data/``.

    Returns
    -------
    str
        A SHA-256 in hexadecimal digits.
    """
    package = Path(__file__).resolve().parents[1]
    files = [root / "_config.yml", *_files(package), *_files(paths.data_dir())]
    installed = sorted(f"{item.name} {item.version}" for item in importlib.metadata.distributions())
    digest = hashlib.sha256(f"{sys.version} {installed}".encode())
    for path in files:
        digest.update(f"{path} {paths.sha256_of(path)}".encode())
    return digest.hexdigest()


def main() -> None:
    """Run the chapters of the book that the command line names, into the cache that it names."""
    root, cache = map(Path, sys.argv[1:])
    sys.exit("\n\n".join(run(root, cache)) or 0)


async def _run_all(found: list[_Chapter]) -> list[str]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(chapter: _Chapter) -> str:
        async with room:
            return await chapter.run()

    problems = await asyncio.gather(*map(one, found))
    return [problem for problem in problems if problem]


@dataclass(frozen=True)
class _Chapter:
    path: Path
    cache: JupyterCacheAbstract
    timeout: int
    """Seconds that one cell may take."""

    async def run(self) -> str:
        """Run it, unless its outputs are kept; return what went wrong, or an empty string."""
        import nbformat
        from jupyter_cache.base import CacheBundleIn
        from nbclient import NotebookClient

        notebook = nbformat.read(self.path, as_version=4)
        if self._is_kept(notebook):
            return ""
        client = NotebookClient(
            notebook,
            timeout=self.timeout,
            resources={"metadata": {"path": str(self.path.parent)}},
            record_timing=False,  # it would go into the cells' metadata, and so into their hash
        )
        started = time.monotonic()
        try:
            await client.async_execute()
        except Exception as error:  # noqa: BLE001 - a dead kernel counts as much as a failing cell
            return f"{self.path.name}: {error}"
        seconds = time.monotonic() - started
        bundle = CacheBundleIn(notebook, str(self.path), data={"execution_seconds": seconds})
        self.cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        print(f"{self.path.name}: {seconds:.0f} s", flush=True)  # noqa: T201 - into the build's log
        return ""

    def _is_kept(self, notebook: NotebookNode) -> bool:
        try:
            self.cache.match_cache_notebook(notebook)
        except KeyError:
            return False
        return True


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _MADE_AT_WILL.isdisjoint(path.relative_to(folder).parts)
    ]
