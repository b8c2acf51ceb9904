"""The Sphinx extension of the book: its roles and directives, and which pages are out of date.

See :mod:`bkdwidgets.book.numbers` for what the role ``{ledger}`` writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bkdwidgets.book.api_reference import Verbs, name_attributes
from bkdwidgets.book.citing import Citation, itemize
from bkdwidgets.book.entries import LedgerEntries
from bkdwidgets.book.literature import PaperNumbers, PaperRole
from bkdwidgets.book.numbers import LedgerRole, LedgerTable
from bkdwidgets.book.rejudged import RejudgedRole
from bkdwidgets.book.report_directive import Report
from bkdwidgets.book.reproduced import Reproduced
from bkdwidgets.core import ledger

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the roles and directives with Sphinx."""
    app.add_role("ledger", LedgerRole())
    app.add_role("paper", PaperRole())
    app.add_role("rejudged", RejudgedRole())
    app.add_directive("ledger-table", LedgerTable)
    app.add_directive("ledger-entries", LedgerEntries)
    app.add_directive("report", Report)
    app.add_directive("reproduced", Reproduced)
    app.add_directive("paper-numbers", PaperNumbers)
    app.add_directive("citation", Citation)
    app.add_directive("verbs", Verbs)
    app.connect("env-get-outdated", _outdated)
    app.connect("doctree-read", name_attributes)
    app.connect("html-page-context", itemize)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _outdated(
    _app: Sphinx, env: BuildEnvironment, _added: set[str], _changed: set[str], _removed: set[str]
) -> list[str]:
    """Name the pages that show the ledger when entries came or went, which no page's own file tells."""
    before = getattr(env, "bkd_ledger_names", None)
    env.bkd_ledger_names = ledger.names()  # type: ignore[attr-defined]
    if before is None or before == env.bkd_ledger_names:  # type: ignore[attr-defined]
        return []
    home = ledger.entry_path("a/b/c").parents[2]
    return [
        page for page, files in env.dependencies.items() if any(home in Path(file).parents for file in files)
    ]
