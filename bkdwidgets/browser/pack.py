"""Layouts of tensors on their way to the browser: nothing is rounded, and like lies beside like.

Neighboring bytes of a float have little in common, the same byte of neighboring floats much. So the
two bytes of float16 numbers travel as two planes, which gzip packs better. Blocks of a quantized
tensor are taken apart in the same way, into their scales and their integers, and never quantized again.

========  ==============================================================================================
format    bytes of a tensor [rows, cols]
========  ==============================================================================================
``f32``   float32, little-endian
``f16``   all low bytes, then all high bytes
``q8_0``  blocks of 32 numbers: scales as ``f16`` planes, then int8 [rows * cols]; number = scale * int8
``q4_1``  blocks of 32: scales, then minima, as ``f16`` planes, then 16 bytes a block (number i in the low
          half of byte i, number 16 + i in its high half); number = scale * half + minimum
========  ==============================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 32
"""Numbers in a block of a quantized tensor."""

Q8_0_BYTES, Q4_1_BYTES = 2 + BLOCK, 2 + 2 + BLOCK // 2
"""Bytes of one block in a GGUF file: scale, (minimum,) integers."""


@dataclass(frozen=True)
class Packed:
    """A tensor in the layout that the browser reads.

    Attributes
    ----------
    name : str
        For example ``"layers.0.q"``.
    format : str
        ``"f32"``, ``"f16"``, ``"q8_0"`` or ``"q4_1"``.
    rows, cols : int
        Shape; a vector is one row.
    data : bytes
        The tensor's bytes.
    """

    name: str
    format: str
    rows: int
    cols: int
    data: bytes


def packed_floats(name: str, values: NDArray[Any]) -> Packed:
    """Pack a float16 or float32 array of one or two dimensions, as the precision that it has."""
    table = np.atleast_2d(values)
    rows, cols = table.shape
    if table.dtype == np.float16:
        return Packed(name, "f16", rows, cols, _planes(table))
    return Packed(name, "f32", rows, cols, table.astype("<f4").tobytes())


def packed_q8_0(name: str, stored: NDArray[np.uint8]) -> Packed:
    """Pack a GGUF tensor of type Q8_0, stored as [rows, cols / 32 * 34] bytes."""
    blocks = _blocks(stored, Q8_0_BYTES)
    data = _planes(blocks[:, :2]) + blocks[:, 2:].tobytes()
    return Packed(name, "q8_0", *_shape(stored, Q8_0_BYTES), data)


def packed_q4_1(name: str, stored: NDArray[np.uint8]) -> Packed:
    """Pack a GGUF tensor of type Q4_1, stored as [rows, cols / 32 * 20] bytes."""
    blocks = _blocks(stored, Q4_1_BYTES)
    data = _planes(blocks[:, :2]) + _planes(blocks[:, 2:4]) + blocks[:, 4:].tobytes()
    return Packed(name, "q4_1", *_shape(stored, Q4_1_BYTES), data)


def _blocks(stored: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return stored.reshape(-1, size)


def _shape(stored: NDArray[np.uint8], size: int) -> tuple[int, int]:
    return stored.shape[0], stored.shape[1] // size * BLOCK


def _planes(values: NDArray[Any]) -> bytes:
    """Return all low bytes and then all high bytes of two-byte numbers."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1, 2).T.tobytes()
