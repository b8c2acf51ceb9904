"""How to cite, and the bibliography's entries.

The directive ``{citation}`` writes what ``CITATION.cff`` names as BibTeX.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]
from docutils import nodes  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Citation(SphinxDirective):
    """The project and the works it builds on, as BibTeX to copy."""

    def run(self) -> list[nodes.Node]:
        """Return a paragraph that asks, and a block of BibTeX."""
        path = Path(self.env.srcdir) / "CITATION.cff"
        self.env.note_dependency(str(path))
        cff = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = [bibtex(item) for item in [cff, *cff.get("references", [])]]
        return [
            nodes.paragraph("", cff["message"]),
            nodes.literal_block("", "\n\n".join(entries), language="bibtex"),
        ]


def bibtex(item: dict[str, Any]) -> str:
    """Return an entry of a citation file as BibTeX.

    Parameters
    ----------
    item : dict
        The citation file itself, or one of its references.

    Examples
    --------
    >>> author = {"family-names": "Ada", "given-names": "B."}
    >>> print(bibtex({"type": "article", "title": "On Heads", "authors": [author], "year": 2025}))
    @misc{ada2025,
      author = {Ada, B.},
      title = {{On Heads}},
      year = {2025},
    }
    """
    is_software = item["type"] == "software"
    fields = {
        "author": " and ".join(_person(person) for person in item["authors"]),
        "title": f"{{{item['title']}}}",
        "year": item.get("year") or str(item.get("date-released", ""))[:4],
        "version": item.get("version"),
        "note": item.get("notes"),
        "url": item.get("repository-code") or item.get("url"),
    }
    key = _key(item, str(fields["year"]))
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{'software' if is_software else 'misc'}{{{key},", *lines, "}"])


def itemize(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Make the bibliography's entries items of their list.

    Docutils marks them by ``doc-biblioentry``, a role that ARIA has given up.
    """
    context["body"] = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')


def _person(person: dict[str, str]) -> str:
    if "name" in person:  # a body, not a person: the braces keep BibTeX from taking it apart
        return f"{{{person['name']}}}"
    return f"{person['family-names']}, {person['given-names']}"


def _key(item: dict[str, Any], year: str) -> str:
    first = item["authors"][0]
    name = first.get("family-names") or item["title"].split(":")[0]
    return re.sub(r"\W", "", name).lower() + year
