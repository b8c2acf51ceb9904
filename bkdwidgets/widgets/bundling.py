"""Bundle the views: from the ES modules of each widget's folder to the one module that travels with it.

What the modules share with Python is written down as a module, too. All of it is committed, so that nobody
who reads or installs needs node. esbuild is pinned by its hash in ``package-lock.json`` beside this file; the
same sources and the same esbuild give the same text, and a test bundles again and compares.
``python -m bkdwidgets.widgets.bundling`` writes all of it anew.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

from bkdwidgets.core import npm, paths
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.theme import COLORS
from bkdwidgets.core.vocabulary import LABELS, OUTCOMES, SIDES
from bkdwidgets.widgets.shared.assets import BUNDLE

WIDGETS = Path(__file__).resolve().parent
VOCABULARY = WIDGETS / "shared" / "vocabulary.js"
_NOTE = "/** Shared with bkdwidgets/core; written by: python -m bkdwidgets.widgets.bundling */"
_FLAGS = ("--bundle", "--format=esm", "--target=es2022", "--charset=utf8", "--minify", "--log-level=warning")


def bundled(widget: Path) -> str:
    """Return the bundle of a widget.

    Parameters
    ----------
    widget : Path
        Its folder, with ``view.js``.

    Returns
    -------
    str
        One ES module whose default export is the view.

    Raises
    ------
    BkdError
        If npm cannot fetch esbuild, or the modules cannot be bundled.
    """
    command = [npm.npm_command()[0], str(_esbuild()), *_FLAGS, "view.js"]
    # Run where the modules are: the names that esbuild sees are then the same on every machine.
    done = subprocess.run(  # noqa: S603 - a fixed command line, no shell
        command, cwd=widget, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise BkdError(f"the view of {widget.name} cannot be bundled: {' '.join(done.stderr.split())}")
    return done.stdout


def vocabulary() -> str:
    """Return the module of what JavaScript and Python both have to know."""
    shared = {
        "OUTCOMES": {one.letter: {"word": one.word, "color": one.color} for one in OUTCOMES},
        "LABELS": LABELS,
        "INK": {side: COLORS[f"{side}-ink"].light for side in SIDES},
    }
    lines = [f"export const {name} = {json.dumps(value)};" for name, value in shared.items()]
    return "\n".join([_NOTE, "", *lines, ""])


def write_bundles() -> list[Path]:
    """Write the vocabulary, and the bundle of every widget beside its view, and return the files."""
    written = [VOCABULARY]
    with paths.written_beside(VOCABULARY) as beside:
        beside.write_text(vocabulary(), encoding="utf-8", newline="\n")
    for view in sorted(WIDGETS.glob("*/view.js")):
        text = bundled(view.parent)
        target = view.with_name(BUNDLE)
        with paths.written_beside(target) as beside:
            beside.write_text(text, encoding="utf-8", newline="\n")
        written.append(target)
    return written


def _esbuild() -> Path:
    """Return esbuild's command, fetched once into the cache folder."""
    lock = hashlib.sha256((WIDGETS / "package-lock.json").read_bytes()).hexdigest()[:20]
    kept = paths.cache_dir() / "widgets-bundler" / lock
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetching-") as folder:
            npm.install(WIDGETS, Path(folder) / "npm").parent.replace(kept)
    return kept / "node_modules" / "esbuild" / "bin" / "esbuild"


if __name__ == "__main__":
    for path in write_bundles():
        print(path)  # noqa: T201
