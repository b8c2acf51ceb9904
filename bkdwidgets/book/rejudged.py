"""How many stored letters the rules of today would change, counted when the page is built.

The role ``{rejudged}`` takes ``revision``, ``letters`` or ``changed``, and writes the number of
:func:`bkdwidgets.studies.rejudging.rejudge`, so that it can not be older than the rules.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxRole

from bkdwidgets.book import numbers
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError, unknown

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = {"revision": "revision", "letters": "n_letters", "changed": "n_changed"}


class RejudgedRole(SphinxRole):
    """A count of stored letters in the text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number, or the text as it stands and a warning."""
        for name in ledger.names():
            self.env.note_dependency(str(ledger.entry_path(name)))
        try:
            value = counted(self.text)
        except BkdError as error:
            return [numbers.complain(str(error), self.rawtext, self.get_location())], []
        origin = "Counted when this page was built; bkdwidgets rejudge"
        return [nodes.abbreviation("", numbers.plain(value), explanation=origin, classes=["bkd-number"])], []


def counted(name: str) -> int:
    """Return one of the counts.

    Raises
    ------
    BkdError
        If there is no such count.
    """
    if name not in COUNTS:
        raise unknown("count", name, COUNTS)
    return int(_counts(ledger.entry_path("a/b/c").parents[2])[COUNTS[name]])


@lru_cache
def _counts(home: Path) -> dict[str, Any]:
    """Count once for a build: it takes some seconds."""
    from bkdwidgets.studies.rejudging import rejudge  # draws torch in; only a page that counts needs it

    return rejudge(home).to_json()
