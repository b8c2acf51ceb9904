"""Compile the runtime: C in ``runtime/`` to ``runtime/runtime.wasm``, with Zig's clang from PyPI.

The file is committed, so that nobody who reads or installs needs a compiler. The same sources and the same
compiler give the same bytes; a test compiles again and compares. The constants that JavaScript shares with
the headers are written down as a module, ``js/constants.js``, and compared as well.
``python -m bkdwidgets.browser.compile`` writes both anew.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import written_beside

RUNTIME = Path(__file__).resolve().parent / "runtime"
WASM = RUNTIME / "runtime.wasm"
CONSTANTS = RUNTIME.parent / "js" / "constants.js"
MOST_MEMORY = 2**31
_HEADERS = ("runtime.h", "model.h")
_NOTE = "/** The constants of ../runtime/*.h; written by: python -m bkdwidgets.browser.compile */"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ENUM = re.compile(r"\benum\b[^{};]*\{([^}]*)\}")
_FLAGS = (
    "-target", "wasm32-freestanding", "-std=c17", "-O3", "-g0",
    "-msimd128", "-mbulk-memory", "-mnontrapping-fptoint",
    "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-fvisibility=hidden", "-nostdlib",
    "-Wl,--no-entry", "-Wl,--export-dynamic", "-Wl,--strip-all", f"-Wl,--max-memory={MOST_MEMORY}",
)  # fmt: skip


def compile_runtime(target: Path = WASM) -> Path:
    """Compile the runtime.

    Parameters
    ----------
    target : Path
        The file to write; by default the one that ships.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    BkdError
        If the compiler is not installed or refuses the sources.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise BkdError("compiling the runtime needs ziglang; install it with: pip install 'bkdwidgets[wasm]'")
    sources = sorted(path.name for path in RUNTIME.glob("*.c"))
    with tempfile.TemporaryDirectory(prefix="bkdwidgets-") as name:
        built = Path(name) / "runtime.wasm"
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, "-o", str(built), *sources]
        # Run where the sources are: the names the compiler sees are then the same on every machine.
        done = subprocess.run(command, cwd=RUNTIME, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise BkdError(f"the runtime does not compile: {done.stderr.strip()}")
        with written_beside(target) as beside:
            beside.write_bytes(built.read_bytes())
    return target


def constants() -> dict[str, int]:
    """Return every constant of the runtime's headers, each with its value.

    Raises
    ------
    BkdError
        If one is given no value that can be read without a compiler.
    """
    found: dict[str, int] = {}
    for header in _HEADERS:
        text = _COMMENT.sub("", (RUNTIME / header).read_text(encoding="utf-8"))
        for item in ",".join(_ENUM.findall(text)).split(","):
            name, _, value = (part.strip() for part in item.partition("="))
            if name and not (value.isdecimal() or value in found):
                raise BkdError(
                    f"{header}: {name} = {value!r} is not allowed; a whole number or an earlier name"
                )
            if name:
                found[name] = int(value) if value.isdecimal() else found[value]
    return found


def constants_module() -> str:
    """Return the JavaScript module of the constants."""
    lines = [f"export const {name} = {value};" for name, value in constants().items()]
    return "\n".join([_NOTE, "", *lines, ""])


if __name__ == "__main__":
    with written_beside(CONSTANTS) as path:
        path.write_text(constants_module(), encoding="utf-8", newline="\n")
    print(CONSTANTS, compile_runtime(), sep="\n")  # noqa: T201
