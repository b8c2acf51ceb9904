"""Errors a user can act on.

Every refusal at a public function is a :class:`BkdError`: one line that names the value and what is
allowed. The command line prints that line and exits with code 2; in a notebook it is an ordinary
exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 80


class BkdError(ValueError):
    """Bad input or a broken file, said in one line that tells what to do."""


class MissingError(BkdError):
    """What was looked for is not there yet, and can be made; nothing is broken."""


class DamagedError(BkdError):
    """A file is there and can not be what it says."""


def unknown(what: str, value: object, known: Iterable[object]) -> BkdError:
    """Build the error for a name that is not registered.

    Parameters
    ----------
    what : str
        The kind of thing, for example ``"subject"``.
    value : object
        What was asked for.
    known : iterable
        What could have been asked for.

    Returns
    -------
    BkdError
        To be raised by the caller.
    """
    names = ", ".join(str(item) for item in known) or "none"
    return BkdError(f"unknown {what} {shown(value)}; known: {names}")


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, and cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
