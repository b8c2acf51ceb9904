"""Files of a download: small enough to resume at, named and checked by what is in them.

The tensors of a subject are laid one after the other and cut into parts. A part is stored gzipped; the
browser unpacks it, compares its SHA-256 with the index, and keeps the unpacked bytes under that hash.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bkdwidgets.browser.pack import Packed

PART_BYTES = 8 << 20
"""Unpacked size at which a part ends: what a broken download loses at most."""

ALIGNMENT = 16
"""Tensors start at multiples of this, so that a browser may look at them as floats where they lie."""

_GZIP = 31
"""zlib's name for: widest window, gzip header (without a time or a file name in it)."""

_TRIES = ((8, zlib.Z_DEFAULT_STRATEGY), (9, zlib.Z_FILTERED), (5, zlib.Z_HUFFMAN_ONLY))
"""Text is packed best by the first, blocks of integers by the second, planes of bytes by the third."""


def write_parts(tensors: Iterable[Packed], folder: Path, stem: str) -> tuple[list[dict[str, Any]], ...]:
    """Write tensors as parts ``<stem>-<number>-<hash>.bin``.

    A tensor that does not fit into what is left of a part starts the next one. Only a tensor that is
    larger than a whole part crosses: it goes on at the beginning of the parts that follow.

    Returns
    -------
    tuple of two lists
        The parts and the tensors as the index lists them.
    """
    parts: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    open_part = bytearray()

    def close() -> None:
        parts.append(write_part(bytes(open_part), folder, f"{stem}-{len(parts)}"))
        open_part.clear()

    for tensor in tensors:
        open_part.extend(bytes(-len(open_part) % ALIGNMENT))
        if open_part and len(open_part) + len(tensor.data) > PART_BYTES:
            close()
        entries.append(_entry(tensor, len(parts), len(open_part)))
        rest = tensor.data
        while len(open_part) + len(rest) > PART_BYTES:
            fits = PART_BYTES - len(open_part)
            open_part.extend(rest[:fits])
            rest = rest[fits:]
            close()
        open_part.extend(rest)
    close()
    return parts, entries


def write_part(data: bytes, folder: Path, stem: str) -> dict[str, Any]:
    """Write one part and return how the index lists it."""
    sha256 = hashlib.sha256(data).hexdigest()
    stored = min((_gzipped(data, memory, strategy) for memory, strategy in _TRIES), key=len)
    name = f"{stem}-{sha256[:16]}.bin"
    (folder / name).write_bytes(stored)
    return {"file": name, "bytes": len(stored), "unpacked": len(data), "sha256": sha256}


def is_whole(part: dict[str, Any], folder: Path) -> bool:
    """Tell whether a part's file is there and holds what the index says."""
    try:
        data = zlib.decompress((folder / part["file"]).read_bytes(), _GZIP)
    except (OSError, zlib.error):
        return False
    return hashlib.sha256(data).hexdigest() == part["sha256"]


def _entry(tensor: Packed, part: int, offset: int) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "format": tensor.format,
        "rows": tensor.rows,
        "cols": tensor.cols,
        "part": part,
        "offset": offset,
        "length": len(tensor.data),
    }


def _gzipped(data: bytes, memory: int, strategy: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP, memory, strategy)
    return packer.compress(data) + packer.flush()
