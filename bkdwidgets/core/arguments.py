"""Checks of what a public function is given: each refusal is one line that says what is allowed."""

from __future__ import annotations

import math
import numbers
import operator
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bkdwidgets.core.errors import BkdError, shown, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = TypeVar("Kind")

# Spaces, and marks that leave nothing on a page: format and control characters.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def whole(name: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """Return a whole number, of Python's, numpy's or torch's kind, as Python's.

    Parameters
    ----------
    name : str
        Of the parameter.
    value : object
        What was given.
    least, most : int
        The smallest and the largest number that is allowed.

    Raises
    ------
    BkdError
        If it is none, or out of range. True and False are no numbers here.
    """
    allowed = f"a whole number from {least} {'up' if most is None else f'to {most}'}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        raise BkdError(f"{name}={shown(value)} is not allowed; {allowed}")
    return number


def finite(name: str, value: object) -> float:
    """Return a finite number as a float, or raise BkdError."""
    is_number = isinstance(value, numbers.Real) or getattr(value, "shape", None) == ()
    try:
        number = float(value) if is_number and not isinstance(value, bool) else math.nan  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BkdError(f"{name}={shown(value)} is not allowed; a finite number")
    return number


def flag(name: str, value: object) -> bool:
    """Return True or False, or raise BkdError: a text such as "no" would count as True."""
    if not isinstance(value, bool):
        raise BkdError(f"{name}={shown(value)} is not allowed; True or False")
    return value


def one_of(what: str, value: object, known: Iterable[str]) -> str:
    """Return a name that is among the known ones, or raise BkdError that lists them."""
    names = list(known)
    if not isinstance(value, str) or value not in names:
        raise unknown(what, value, names)
    return value


def text(name: str, value: object) -> str:
    r"""Return a text that can be written down, or raise BkdError.

    Half of a surrogate pair (``"\ud83d"``) is a Python string, but no text: nothing can encode it.
    """
    if not isinstance(value, str):
        raise BkdError(f"{name}={shown(value)} is not allowed; a text")
    for place, letter in enumerate(value):
        if unicodedata.category(letter) == "Cs":
            raise BkdError(
                f"{name}={shown(value)} has half of a surrogate pair at place {place}; whole characters only"
            )
    return value


def prompt(value: object) -> str:
    """Return a prompt: a text in which something can be seen. Else raise BkdError."""
    if isinstance(value, str) and all(unicodedata.category(letter) in _UNSEEN for letter in value):
        raise BkdError(f"prompt {shown(value)} is empty; a prompt has at least one word")
    return text("prompt", value)


def listed(name: str, value: object, kind: type[Kind] | tuple[type, ...], what: str) -> list[Kind]:
    """Return the items of a list, each of a kind, or raise BkdError.

    Parameters
    ----------
    name : str
        Of the parameter.
    value : object
        What was given. One item alone is no list, and a text is not the list of its letters.
    kind : type or tuple of types
        Of the items.
    what : str
        What such a list is called, for example ``"a list of prompts"``.
    """
    items: Any = value
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        alone = f"[{name[:-1]}], with one item" if isinstance(value, kind) else what
        raise BkdError(f"{name}={shown(value)} is not a list; {alone}")
    found = list(items)
    for place, item in enumerate(found):
        if not isinstance(item, kind):
            raise BkdError(f"{name}[{place}]={shown(item)} is not allowed; {what}")
    return found


def instance(name: str, value: object, kind: type[Kind], source: str) -> Kind:
    """Return an object of a class, or raise BkdError that says where one comes from.

    Parameters
    ----------
    name : str
        Of the parameter.
    value : object
        What was given.
    kind : type
        The class.
    source : str
        What returns such an object, for example ``'bkd.load("nano")'``.
    """
    if not isinstance(value, kind):
        raise BkdError(f"{name}={shown(value)} is not a {kind.__name__}; {source} returns one")
    return value


def folder(name: str, value: object) -> Path | None:
    """Return a folder's path with ``~`` written out, or None where none was given; else raise BkdError."""
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise BkdError(f"{name}={shown(value)} is not allowed; the path of a folder")
    return Path(value).expanduser()
