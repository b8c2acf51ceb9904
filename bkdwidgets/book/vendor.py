"""Gather the browser files of others that the book serves itself.

A page that loads a script from somebody else's host tells that host who reads it, breaks when the
host changes its mind, and cannot be read on a train. So everything is copied beside the pages. It is
not committed either: ``book/package-lock.json`` pins each package with its SHA-512 (and names no
registry), and :mod:`bkdwidgets.core.npm` fetches exactly that. What was gathered once is kept in the cache
folder with a SHA-256 for each file, and checked each time it is used.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import re
import shutil
import tempfile
from pathlib import Path

from bkdwidgets.book import licenses
from bkdwidgets.core import npm, paths
from bkdwidgets.core.errors import BkdError

RECIPE = 2
"""Raised when this module gathers other files from the same lock."""

TOKENIZERS = "tokenizers.min.js"
"""The tokenizer of the live subjects; the builder puts it beside the modules that import it."""

NPM_FILES = {
    "requirejs/require.js": "require.js",
    "@jupyter-widgets/html-manager/dist/embed-amd.js": "embed-amd.js",
    "@jupyter-widgets/html-manager/dist/*.woff2": "",  # embed-amd.js looks for its fonts beside itself
    "plotly.js-cartesian-dist-min/plotly-cartesian.min.js": "plotly.js",
    "@huggingface/tokenizers/dist/tokenizers.min.mjs": TOKENIZERS,
    "mathjax/es5/tex-chtml.js": "mathjax/tex-chtml.js",
    "mathjax/es5/output/chtml/fonts/woff-v2/*.woff": "mathjax/output/chtml/fonts/woff-v2/",
}
"""Files inside ``node_modules`` and where they go; an empty name or one that ends in / keeps theirs."""

PIP_FILES = {
    ("anywidget", "nbextension/index.js"): "anywidget.js",
    ("circuitsvis", "dist/cdn/iife.js"): "circuitsvis.js",
}
"""Files inside installed Python packages and where they go."""


def gather(book: Path) -> Path:
    """Return a folder with ``vendor/`` and ``licenses/``, fetched now or taken from the cache.

    Parameters
    ----------
    book : Path
        The folder with ``package.json`` and ``package-lock.json``.

    Returns
    -------
    Path
        A folder in the cache; copy from it, do not write to it.

    Raises
    ------
    BkdError
        If npm is missing, cannot reach its registry or receives something else than what is pinned.
    """
    kept = paths.cache_dir() / "book-vendor" / _key(book)
    if intact(kept):
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".gathering-") as folder:
        modules = npm.install(book, Path(folder) / "npm")
        gathered = Path(folder) / "files"
        _copy_npm(modules, gathered / "vendor")
        _copy_pip(gathered / "vendor")
        licenses.collect(modules, book / "package-lock.json", gathered / "licenses")
        _write_manifest(gathered)
        shutil.rmtree(kept, ignore_errors=True)
        gathered.replace(kept)
    return kept


def intact(folder: Path) -> bool:
    """Tell whether a gathered folder still holds exactly the files of its manifest."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return {name: paths.sha256_of(folder / name) for name in manifest} == manifest and bool(manifest)
    except (OSError, ValueError):
        return False


def plotly_js_version() -> str:
    """Return the version of plotly.js that the installed plotly.py writes figures for."""
    with (_package_folder("plotly") / "package_data" / "plotly.min.js").open(encoding="utf-8") as file:
        found = re.search(r"plotly\.js v(\d+\.\d+\.\d+)", file.read(400))
    if not found:
        raise BkdError("the installed plotly does not say which plotly.js it carries; install plotly 7.1")
    return found[1]


def _key(book: Path) -> str:
    digest = hashlib.sha256(f"recipe {RECIPE}".encode())
    for name in ("package.json", "package-lock.json"):
        digest.update((book / name).read_bytes())
    for package in sorted({package for package, _ in PIP_FILES} | set(licenses.PIP_PACKAGES)):
        digest.update(f"{package} {importlib.metadata.version(package)}".encode())
    return digest.hexdigest()[:20]


def _copy_npm(modules: Path, vendor: Path) -> None:
    for pattern, name in NPM_FILES.items():
        sources = sorted(modules.glob(pattern))
        if not sources:
            raise BkdError(f"the npm packages hold no file {pattern}; book/package-lock.json does not fit")
        for source in sources:
            target = vendor / (name if name and not name.endswith("/") else f"{name}{source.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    _check_plotly(vendor / "plotly.js")
    _without_eval(vendor / "embed-amd.js")


def _without_eval(script: Path) -> None:
    """Take out of the widget manager what compiles JSON schemas with ``eval``, which our pages forbid.

    It happens in its last module, which looks for widgets in a page (``page.js`` does that), and once in
    the module before, which throws the result away.
    """
    manager, *rest = script.read_text(encoding="utf-8").split(
        'define("@jupyter-widgets/html-manager/dist/libembed-amd"'
    )
    kept, found = re.subn(r"(\w+)\.compile\(\w+\),\1\.compile\(\w+\);", "", manager)
    if len(rest) != 1 or found != 1:
        raise BkdError("the widget manager is built otherwise than expected; book/package.json pins another")
    script.write_text(kept, encoding="utf-8")


def _check_plotly(script: Path) -> None:
    """Refuse a plotly.js that the installed plotly.py does not write for."""
    wanted = plotly_js_version()
    with script.open(encoding="utf-8") as file:
        if f"v{wanted}" not in file.read(400):
            raise BkdError(
                f"book/package.json pins another plotly.js than the {wanted} of the installed plotly"
            )


def _copy_pip(vendor: Path) -> None:
    for (package, inside), name in PIP_FILES.items():
        shutil.copyfile(_package_folder(package) / inside, vendor / name)


def _package_folder(package: str) -> Path:
    """Return an installed package's folder without importing it (CircuitsVis would import torch)."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BkdError(
            f"the package {package} is not installed; install with: pip install 'bkdwidgets[book]'"
        )
    return Path(spec.origin).parent


def _write_manifest(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {path.relative_to(folder).as_posix(): paths.sha256_of(path) for path in files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
