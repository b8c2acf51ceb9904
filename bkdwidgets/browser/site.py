"""One folder with all that a page needs to run a subject: modules, WebAssembly, tokenizer, subjects."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bkdwidgets.browser.export import export_web
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects.specs import subjects_with_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.browser.export import WebExport

_HERE = Path(__file__).resolve().parent


def write_site(out: Path, *, tokenizers: Path, subjects: Sequence[str] | None = None) -> list[WebExport]:
    """Fill a folder, ``_static/live/`` of a built book, from which pages run subjects.

    Parameters
    ----------
    out : Path
        The folder; made if it is not there.
    tokenizers : Path
        The module of the npm package ``@huggingface/tokenizers``.
    subjects : sequence of str, optional
        All that readers have in their pages, if not given. Their weights go along, each below ``subjects/``.

    Returns
    -------
    list of WebExport
        The subjects' folders.

    Raises
    ------
    BkdError
        If the WebAssembly is missing, or a subject cannot be exported.
    """
    runtime = _HERE / "runtime" / "runtime.wasm"
    if not runtime.is_file():
        raise BkdError(f"{runtime} is missing; run: python -m bkdwidgets.browser.compile")
    out.mkdir(parents=True, exist_ok=True)
    for source in [*sorted((_HERE / "js").glob("*.js")), runtime]:
        shutil.copyfile(source, out / source.name)
    shutil.copyfile(tokenizers, out / "tokenizers.min.js")
    names = subjects_with_page() if subjects is None else subjects
    return [export_web(subject, out / "subjects" / subject, progress=False) for subject in names]
