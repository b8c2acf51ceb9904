"""The JavaScript and CSS of the labs.

A widget's module is one string, and one string cannot import another. So each lab's code stands in a
few small files that are joined here, in the order given; the last one exports the view.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from bkdwidgets import look

_HERE = Path(__file__).parent
_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/[ \t]*|//[^\n]*)(?:\n|(?=[^\n]))", re.DOTALL | re.MULTILINE)
"""A comment that begins its line: a page carries a lab's code for every lab, and nobody reads it there."""
_SHARED = ("dom", "kept", "rates", "engines", "door", "browser", "controls", "told", "bench")


@cache
def module(*parts: str) -> str:
    """Return one JavaScript module made of the shared parts and those named.

    Parameters
    ----------
    *parts : str
        Files of ``js/``, without their ending; the last one exports the view.

    Returns
    -------
    str
        The module's text.
    """
    names = (*_SHARED, *parts)
    return "\n".join(_bare(_HERE / "js" / f"{name}.js") for name in names)


@cache
def stylesheet() -> str:
    """Return the labs' style sheet, the colors of :mod:`bkdwidgets.look` in front."""
    return look.css() + _bare(_HERE / "css" / "lab.css")


def _bare(path: Path) -> str:
    """Return a file without the comments that stand in lines of their own."""
    return _COMMENT.sub("", path.read_text(encoding="utf-8"))
