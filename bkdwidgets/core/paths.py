"""Where files live: what ships with the project, what is cached on the reader's machine."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from bkdwidgets.core.errors import BkdError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def data_dir() -> Path:
    """Return the folder of shipped data: ``data/`` of a clone, or its copy inside the wheel."""
    packaged = _PACKAGE / "_data"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "data"


def cache_dir() -> Path:
    """Return the folder for what is downloaded or converted once (``BKDWIDGETS_CACHE`` moves it)."""
    named = os.environ.get("BKDWIDGETS_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("bkdwidgets"))


def is_name(name: object) -> bool:
    """Tell whether something can be part of a path and never lead out of its folder."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def check_name(what: str, name: object) -> str:
    """Return a name that becomes part of a path, or refuse one that could lead out of its folder.

    Names come from files, too, and a file may have been written by anybody.

    Parameters
    ----------
    what : str
        The kind of thing, for example ``"adapter"``.
    name : object
        Its name.

    Raises
    ------
    BkdError
        If the name has anything in it but letters, digits, ``.``, ``-`` and ``_``, or begins with ``.`` or
        ``-``.
    """
    if not is_name(name):
        raise BkdError(
            f"{what} {shown(name)} is not allowed as a name; letters, digits, '.', '-' and '_', no folders"
        )
    return str(name)


def vectors_path(subject: str, adapter: str) -> Path:
    """Return the file of mean head outputs and backdoor vectors that a page puts into a subject."""
    check_name("subject", subject)
    return data_dir() / "live" / subject / f"{check_name('adapter', adapter)}.safetensors"


def check_writable(target: Path) -> None:
    """Refuse to write into an installed package: its files are the installer's, and others may share them.

    Whatever is written goes through :func:`written_beside` or :func:`folder_beside`, which ask this; what
    computes for long before it writes asks first.

    Raises
    ------
    BkdError
        If `target` lies in an installed package.
    """
    installed = (_PACKAGE / "_data").is_dir()
    if installed and Path(os.path.abspath(target)).is_relative_to(_PACKAGE):  # noqa: PTH100 - no link is followed
        raise BkdError(
            f"{target} belongs to the installed package and is not written; "
            "work in a clone of the repository, or name a folder of your own where one can be named"
        )


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit() -> str:
    """Return the commit of the clone this runs from, or "unknown" for an installed package."""
    command = ["git", "-C", str(_PACKAGE), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` that replaces it only when the block succeeds.

    A reader therefore never sees half a file, and an interrupted write leaves nothing behind that
    the next call could mistake for the real thing.
    """
    check_writable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(0o644)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target` that takes its place only when the block succeeds.

    Raises
    ------
    BkdError
        If the place cannot be written.
    """
    check_writable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise BkdError(f"cannot write {target.parent}: {error.strerror}") from error
    try:
        yield beside
        beside.chmod(0o755)
        _exchange(beside, target)
    except OSError as error:
        raise BkdError(f"cannot write {target}: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(made: Path, target: Path) -> None:
    """Put a folder in the place of an older one, which is never seen half deleted.

    Where another process puts its own there at the same time, one of the two stays: both are whole.
    """
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with suppress(FileNotFoundError):
            target.replace(aside / target.name)
        made.replace(target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
