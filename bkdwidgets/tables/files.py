"""Where lab tables live and how they are written; the widgets read and check them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from bkdwidgets.paths import data_dir, written_beside

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1


def table_path(subject: str, adapter: str, lab: str) -> Path:
    """Return the file of a shipped table; the adapter's name carries the attack."""
    return data_dir() / "labs" / f"{subject}-{adapter}-{lab}.json.gz"


def write_table(table: dict[str, Any], path: Path) -> None:
    """Write a table; equal tables give equal bytes."""
    raw = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    with written_beside(path) as beside:
        beside.write_bytes(gzip.compress(raw, 9, mtime=0))
