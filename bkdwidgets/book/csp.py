"""The Content-Security-Policy of every built page: no other host, and no script that the page did not bring.

A static page cannot send headers, so the policy stands in a ``<meta>`` at the top of its head. It names
no host. Scripts come from the book's own files or carry a hash; a hash is given only to the short inline
scripts that the theme writes outside the text, counted anew for each page when the book is built. An inline
script inside the text of a page gets none: it could be anybody's words, and the build stops instead.

What is allowed beyond the book's own files, and who needs it:

``blob:`` scripts
    anywidget imports a lab's module from a blob.
``'wasm-unsafe-eval'``
    the live model is WebAssembly. JavaScript's own ``eval`` stays forbidden.
``blob:`` workers
    some browsers start a worker of a page on the disk from a blob.
``'unsafe-inline'`` styles
    plotly, the widgets and figures set ``style`` attributes.
``data:`` images and fonts
    icons and fonts inside the style sheets of the theme and of the widgets.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sphinx.application import Sphinx

_SCRIPT_TYPES = {"", "module", "text/javascript", "application/javascript"}
"""Types that a browser runs; an element of another type (JSON, a widget's view) is data."""

_CHARSET = re.compile(r'<meta charset="utf-8"\s*/?>')
"""The first thing in each page's head: browsers look for it in the first 1,024 bytes, so it stays first."""

_HEAD_END = re.compile(r"</head\s*>|<body[\s>]", re.IGNORECASE)
_MARK = '<meta http-equiv="Content-Security-Policy"'


def policy(hashes: Iterable[str] = ()) -> str:
    """Return the policy of a page.

    Parameters
    ----------
    hashes : iterable of str
        Hashes of the inline scripts that may run, as :func:`script_hash` writes them.

    Returns
    -------
    str
        The policy's text.
    """
    allowed = " ".join(f"'{value}'" for value in sorted(set(hashes)))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' blob: 'wasm-unsafe-eval' {allowed}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


def script_hash(text: str) -> str:
    """Return the hash by which a policy names an inline script.

    Examples
    --------
    >>> script_hash("alert(1)")
    'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def with_policy(page: str, name: str = "the page") -> str:
    """Return a page with its policy before anything that could load; one that has a policy stays as it is.

    Parameters
    ----------
    page : str
        The whole HTML.
    name : str
        How an error names it.

    Returns
    -------
    str
        The HTML with the policy.

    Raises
    ------
    BkdError
        If the page names no charset, or an inline script or handler stands in its text.
    """
    end = _HEAD_END.search(page)
    head = page[: end.start()] if end else ""  # a cell's output may carry the text of such a tag
    if _MARK in head:
        return page
    charset = _CHARSET.search(head)
    if charset is None:
        raise BkdError(f'{name} has no <meta charset="utf-8">, below which its Content-Security-Policy goes')
    found = _Scripts()
    found.feed(page)
    if found.refused:
        raise BkdError(
            f"{name} has {found.refused[0]}, which its Content-Security-Policy would block; "
            "put the script into a file of book/site/"
        )
    written = f'\n    {_MARK} content="{policy(map(script_hash, found.inline))}">'
    return page[: charset.end()] + written + page[charset.end() :]


def protect(app: Sphinx, error: Exception | None) -> None:
    """Write the policy into every page of a finished build (a Sphinx handler of ``build-finished``)."""
    if error is not None or app.builder.format != "html":
        return
    for path in pages(Path(app.outdir)):
        before = path.read_text(encoding="utf-8")
        after = with_policy(before, path.relative_to(app.outdir).as_posix())
        if after != before:
            path.write_text(after, encoding="utf-8")


def pages(folder: Path) -> Iterator[Path]:
    """Yield the pages below a folder; what lies in a folder with an underscore is no page."""
    for path in sorted(folder.rglob("*.html")):
        if not any(part.startswith("_") for part in path.relative_to(folder).parts):
            yield path


class _Scripts(HTMLParser):
    """Finds the inline scripts outside a page's text, and whatever runs inside it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.inline: list[str] = []
        self.refused: list[str] = []
        self._articles = 0
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.refused += [f"the handler {name}=" for name in given if name.startswith("on")]
        if tag == "article":
            self._articles += 1
        if tag == "script" and "src" not in given and (given.get("type") or "").lower() in _SCRIPT_TYPES:
            self._text = []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._articles -= 1
        if tag == "script" and self._text is not None:
            text = "".join(self._text)
            self._text = None
            if self._articles:
                self.refused.append(f"an inline script in its text ({' '.join(text.split())[:60]!r})")
            else:
                self.inline.append(text)
