"""The JavaScript and CSS of a widget, as they travel with it.

A widget's module is one string, and a string cannot import another file. So the modules of a view are
bundled into one (see :mod:`bkdwidgets.widgets.bundling`), which is committed beside them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from bkdwidgets.core import theme

BUNDLE = "bundle.js"
_HERE = Path(__file__).parent
_COMMENT = re.compile(r"^[ \t]*/\*.*?\*/[ \t]*(?:\n|(?=[^\n]))", re.DOTALL | re.MULTILINE)
"""A comment that begins its line: a page carries the style sheet for every lab, and nobody reads it there."""


@cache
def bundle(widget: str) -> str:
    """Return the bundled view of a widget.

    Parameters
    ----------
    widget : str
        A file in the widget's folder: its own ``__file__``.

    Returns
    -------
    str
        The module's text.
    """
    return (Path(widget).parent / BUNDLE).read_text(encoding="utf-8")


@cache
def stylesheet(widget: str | None = None) -> str:
    """Return the widgets' style sheet, the colors of :mod:`bkdwidgets.core.theme` in front.

    Parameters
    ----------
    widget : str, optional
        A file in the folder of a widget whose own ``view.css`` comes last.

    Returns
    -------
    str
        The style sheet.
    """
    own = [Path(widget).parent / "view.css"] if widget else []
    return theme.css() + "".join(_bare(path) for path in [_HERE / "lab.css", *own])


def _bare(path: Path) -> str:
    """Return a file without the comments that stand in lines of their own."""
    return _COMMENT.sub("", path.read_text(encoding="utf-8"))
