"""Compile the runtime: C in ``runtime/`` to ``runtime/runtime.wasm``, with Zig's clang from PyPI.

The file is committed, so that nobody who reads or installs needs a compiler. The same sources and the same
compiler give the same bytes; a test compiles again and compares. ``python -m bkdwidgets.browser.compile``
writes it anew.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import written_beside

RUNTIME = Path(__file__).resolve().parent / "runtime"
WASM = RUNTIME / "runtime.wasm"
MOST_MEMORY = 2**31
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


if __name__ == "__main__":
    print(compile_runtime())  # noqa: T201
