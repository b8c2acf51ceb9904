"""The studies that are computed from other entries alone, by name: each makes its entry for a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkdwidgets.studies import seeds, tools

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bkdwidgets.core import ledger

DERIVED: dict[str, Callable[[str, str, Path | None], ledger.Entry]] = {
    seeds.NAME: seeds.seeds_entry,
    tools.NAME: tools.tools_entry,
}
"""Subject, family and ledger folder -> the entry, or BkdError if what it is made of is not there."""
