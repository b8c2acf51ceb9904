"""Numbers of others: what the paper, its critics and related work published, quoted from one file.

``data/paper.json`` holds each quoted number with what it is and where it stands in its source. The role
``{paper}`` with the text ``yu2025:ablation.qwen.fixed-output.8`` writes it, with that said on hover, and a
link to the table that the directive ``{paper-numbers}`` makes of the whole file; ``yu2025`` is the source's
key in the bibliography.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective, SphinxRole

from bkdwidgets.book import cells, numbers
from bkdwidgets.core import paths
from bkdwidgets.core.errors import BkdError, unknown

if TYPE_CHECKING:
    from pathlib import Path

Sources = dict[str, list[dict[str, Any]]]


class PaperRole(SphinxRole):
    """A published number of somebody else in the text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number, or the text as it stands and a warning."""
        self.env.note_dependency(str(path()))
        try:
            value, origin = quoted(self.text)
        except BkdError as error:
            return [numbers.complain(str(error), self.rawtext, self.get_location())], []
        return [numbers.linked(value, _label(self.text.partition(":")[0]), origin)], []


class PaperNumbers(SphinxDirective):
    """All quoted numbers, a table per source."""

    def run(self) -> list[nodes.Node]:
        """Return the tables; each names its source as a citation."""
        self.env.note_dependency(str(path()))
        return [self._table(key, groups) for key, groups in read().items()]

    def _table(self, key: str, groups: list[dict[str, Any]]) -> nodes.table:
        rows = [[group["what"], group["where"], ", ".join(_pairs(group))] for group in groups]
        caption, _ = self.parse_inline(f"{{cite:t}}`{key}`")
        table = cells.table(["what", "where", "numbers"], rows, caption=caption, kind="bkd-quoted")
        table["ids"].append(_label(key))
        self.env.get_domain("std").anonlabels[_label(key)] = self.env.docname, _label(key)  # type: ignore[attr-defined]
        return table


def path() -> Path:
    """Return the file of quoted numbers."""
    return paths.data_dir() / "paper.json"


def read() -> Sources:
    """Return the quoted numbers: source -> groups with ``key``, ``what``, ``where`` and ``values``.

    A group whose values go by a number, as "top 8" does, names that number in ``by``.
    """
    sources: Sources = json.loads(path().read_text(encoding="utf-8"))["sources"]
    return sources


def quoted(reference: str) -> tuple[str, str]:
    """Return a quoted number as it was published, and where it comes from.

    Raises
    ------
    BkdError
        If there is no such source, group or number.

    Examples
    --------
    >>> quoted("yu2025:ablation.qwen.fixed-output.8")[0]
    '87.50 %'
    """
    source, _, address = reference.partition(":")
    sources = read()
    if source not in sources:
        raise unknown("source of quoted numbers", source, sources)
    name, _, last = address.rpartition(".")
    group = next((item for item in sources[source] if item["key"] == name), None)
    if group is None:
        raise unknown(f"group of {source}", name, [item["key"] for item in sources[source]])
    if last not in group["values"]:
        raise unknown(f"number of {source}:{name}", last, group["values"])
    return group["values"][last], f"{group['what']} ({source}, {group['where']})"


def _pairs(group: dict[str, Any]) -> list[str]:
    by = f"{group['by']} = " if "by" in group else ""
    pairs = (f"{by}{name}: {value}" for name, value in group["values"].items())
    return [pair.replace(" ", "\N{NO-BREAK SPACE}") for pair in pairs]


def _label(source: str) -> str:
    label: str = nodes.make_id(f"quoted-{source}")
    return label
