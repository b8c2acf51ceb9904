"""Serve a built book on this machine, and to nobody else.

The book needs no server (it also opens from the disk), but a browser allows more on ``http``:
a service worker, a cache, fetching a model. Bound to 127.0.0.1 so that a laptop on a shared network
offers nothing to its neighbors.
"""

from __future__ import annotations

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class _Quiet(SimpleHTTPRequestHandler):
    """A file handler that types what a browser is strict about, and does not log every request."""

    extensions_map = {  # noqa: RUF012 - as in the base class
        **SimpleHTTPRequestHandler.extensions_map,
        ".bin": "application/octet-stream",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".woff2": "font/woff2",
    }

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing: a page makes dozens of requests."""

    def end_headers(self) -> None:
        """Ask the browser to check again, so that a rebuilt page is never hidden by an old one."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def listen(path: Path, port: int = 0) -> ThreadingHTTPServer:
    """Open a server for a folder on 127.0.0.1 without starting to answer.

    Parameters
    ----------
    path : Path
        The folder to serve.
    port : int
        The port, or 0 for any free one.

    Returns
    -------
    ThreadingHTTPServer
        Call ``serve_forever()`` on it; its ``server_port`` names the port.

    Raises
    ------
    BkdError
        If the folder holds no book or the port is taken.
    """
    if not path.is_dir():
        raise BkdError(f"no built book at {path}; build one with: bkdwidgets book")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(path)))
    except OverflowError:
        raise BkdError(f"port {port} is not a port; allowed: 0 to 65535") from None
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise BkdError(
                f"port {port} cannot be opened ({error.strerror}); choose another --port"
            ) from None
        raise


def serve(path: Path, port: int = 8000, *, report: Callable[[str], object] = print) -> None:
    """Serve a built book on http://127.0.0.1 until interrupted.

    Parameters
    ----------
    path : Path
        The folder that `bkdwidgets.book.build` returned.
    port : int
        The port, or 0 for any free one.
    report : callable
        Where the address is said.
    """
    with listen(path, port) as server:
        report(f"Serving {path} at http://127.0.0.1:{server.server_port}/ (Ctrl-C stops it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            report("Stopped.")
