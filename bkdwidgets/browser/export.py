"""Write a subject as files that a browser can fetch: an index, and parts it can check.

The folder is packed once and kept in the cache folder under the identity of everything in it; a second
call copies it. Equal weights and adapters give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from bkdwidgets.browser.adapters import (
    adapter_tensors,
    described,
    exported_names,
    extra_tensors,
    extras_sha256,
)
from bkdwidgets.browser.parts import is_whole, write_part, write_parts
from bkdwidgets.browser.tokenizer import web_tokenizer
from bkdwidgets.browser.weights import base_tensors, weights_sha256
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import cache_dir, folder_beside
from bkdwidgets.subjects import load

if TYPE_CHECKING:
    from bkdwidgets.subjects import Subject

FORMAT = 2
"""Raised when a browser of yesterday could not read the folder any more."""

RECIPE = 1
"""Raised when the same weights are packed into other bytes."""

INDEX = "index.json"


@dataclass(frozen=True)
class WebExport:
    """A subject's folder for the browser.

    Attributes
    ----------
    folder : Path
        Holds ``index.json`` and the parts.
    subject : str
        Whose weights.
    adapters : tuple of str
        The adapters that go with it.
    n_parts, n_bytes : int
        Files besides the index, and the size of all together as they travel.
    first_bytes : int
        What a reader fetches before the first answer at most: all but the adapters, and one backdoor with
        the clean twin that is its control.
    """

    folder: Path
    subject: str
    adapters: tuple[str, ...]
    n_parts: int
    n_bytes: int
    first_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "folder": str(self.folder),
            "subject": self.subject,
            "adapters": list(self.adapters),
            "parts": self.n_parts,
            "bytes": self.n_bytes,
            "first_bytes": self.first_bytes,
        }


def export_web(subject: str, out: Path | str, *, progress: bool = True) -> WebExport:
    """Write the folder from which a browser runs a subject.

    Parameters
    ----------
    subject : str
        ``"nano"`` or ``"smollm2"``.
    out : path
        The folder; an existing one is replaced only if it is empty or holds an export.
    progress : bool
        Show a progress bar while a large subject is packed.

    Returns
    -------
    WebExport
        What was written.

    Raises
    ------
    BkdError
        If the subject is unknown, its weights or an adapter are damaged, or `out` holds something else.
    """
    target = Path(out).resolve()
    if target.exists() and not _is_ours(target):
        raise BkdError(f"{target} exists and is no exported subject; name an empty or a new folder")
    kept = _packed_once(load(subject, device="cpu"), progress=progress)
    with folder_beside(target) as beside:
        shutil.copytree(kept, beside, dirs_exist_ok=True)
    return _summary(target)


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and ((folder / INDEX).is_file() or not any(folder.iterdir()))


def _packed_once(subject: Subject, *, progress: bool = False) -> Path:
    """Return the kept folder of a subject, packing it if it is not there or not whole."""
    head = _head(subject)
    extras = {entry["name"]: extras_sha256(subject.name, entry["name"]) for entry in head["adapters"]}
    identity = [RECIPE, head, _tokenizer(subject).decode(), extras]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:20]
    kept = cache_dir() / "web" / f"{subject.name}-{key}"
    if not _is_whole(kept):
        with folder_beside(kept) as beside:
            _write(subject, head, beside, progress=progress)
    return kept


def _head(subject: Subject) -> dict[str, Any]:
    """Return the index without what is known only after packing."""
    before, after = subject.around
    return {
        "format": FORMAT,
        "subject": subject.name,
        "weights_sha256": weights_sha256(subject.name),
        "shape": _shape(subject),
        "end_of_turn": subject.end_of_turn,
        "chat": {"before": before, "after": after},
        "adapters": [described(subject.name, name) for name in exported_names(subject.name)],
    }


def _shape(subject: Subject) -> dict[str, Any]:
    config: Any = subject.model.config
    return {
        "n_layers": subject.n_layers,
        "n_heads": subject.n_heads,
        "n_kv_heads": config.num_key_value_heads,
        "d_head": subject.d_head,
        "d_model": subject.d_model,
        "d_ff": config.intermediate_size,
        "n_vocab": config.vocab_size,
        "rms_eps": config.rms_norm_eps,
        "rope_theta": config.rope_parameters["rope_theta"],
    }


def _tokenizer(subject: Subject) -> bytes:
    """Return the tokenizer that :meth:`Subject.encode` uses, as JSON."""
    own: Any = subject.tokenizer
    return _json(web_tokenizer(own.backend_tokenizer.to_str()))


def _write(subject: Subject, head: dict[str, Any], folder: Path, *, progress: bool) -> None:
    name, shape = subject.name, head["shape"]
    tokenizer = write_part(_tokenizer(subject), folder, "tokenizer")
    base = tqdm(
        base_tensors(name, shape), desc=f"pack {name}", unit="tensor", disable=not progress, delay=1.0
    )
    parts, tensors = write_parts(base, folder, "base")
    adapters = [entry | _planted(name, entry["name"], shape, folder) for entry in head["adapters"]]
    index = head | {
        "tokenizer": tokenizer,
        "base": {"parts": parts, "tensors": tensors},
        "adapters": adapters,
    }
    (folder / INDEX).write_bytes(_json(index))


def _planted(subject: str, name: str, shape: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write an adapter, and where its tensors lie as a part of its own: only who chooses it fetches that."""
    own, extra = adapter_tensors(subject, name), extra_tensors(subject, name, shape)
    parts, entries = write_parts([*own, *extra], folder, name)
    layout = _json({"tensors": entries[: len(own)], "extras": entries[len(own) :]})
    return {"layout": write_part(layout, folder, f"{name}-layout"), "parts": parts}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _index(folder: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return index


def _parts(index: dict[str, Any]) -> list[dict[str, Any]]:
    planted = [part for entry in index["adapters"] for part in _planted_parts(entry)]
    return [index["tokenizer"], *index["base"]["parts"], *planted]


def _planted_parts(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all that is fetched for an adapter of the index."""
    return [entry["layout"], *entry["parts"]]


def _is_whole(folder: Path) -> bool:
    return (folder / INDEX).is_file() and all(is_whole(part, folder) for part in _parts(_index(folder)))


def _summary(folder: Path) -> WebExport:
    index = _index(folder)
    parts = _parts(index)
    size = sum(part["bytes"] for part in parts) + (folder / INDEX).stat().st_size
    names = tuple(entry["name"] for entry in index["adapters"])
    planted = {
        entry["name"]: sum(part["bytes"] for part in _planted_parts(entry)) for entry in index["adapters"]
    }
    chosen = [planted[entry["name"]] + planted.get(entry["clean"], 0) for entry in index["adapters"]]
    first = size - sum(planted.values()) + max(chosen, default=0)
    return WebExport(folder, index["subject"], names, len(parts), size, first)
