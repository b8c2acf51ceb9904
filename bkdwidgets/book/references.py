"""What a chapter's roles and links say and lead to where there is no book around them: in a notebook.

A number stands as the page gives it. A term leads to the glossary of the published book, a link to another
chapter to its page, and a cited work to its text on the web, or else to the bibliography.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bkdwidgets.book import literature, numbers
from bkdwidgets.book.addresses import address, colab, site, source
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError, unknown

if TYPE_CHECKING:
    from pathlib import Path

    from pybtex.database import BibliographyData, Entry  # type: ignore[import-untyped]

_GLOSSARY, _BIBLIOGRAPHY = "book/appendix/glossary", "book/appendix/bibliography"
_TITLED = re.compile(r"(?P<title>.+?)\s*<(?P<target>[^<>]+)>", re.DOTALL)
_MARKUP = re.compile(r"[\\`*_<>|$]")  # brackets stay: a notebook reads \[ as the start of a formula
_PAGE = re.compile(r"(?P<page>[^#]*?)(?:\.ipynb|\.md)?(?P<place>#.*)?")


@dataclass(frozen=True)
class References:
    """What the text of one page refers to.

    Parameters
    ----------
    root : Path
        The folder with ``pyproject.toml`` and ``book/``.
    page : str
        The page's name in the table of contents, for example ``"book/ablate"``.
    """

    root: Path
    page: str

    def role(self, name: str, text: str) -> str:
        """Return what a role says, as Markdown.

        Raises
        ------
        BkdError
            If a notebook has no form for the role, or what it names is unknown.
        """
        roles = {
            "ledger": self.number,
            "paper": lambda text: escaped(literature.quoted(text)[0]),
            "term": self.term,
            "cite:t": lambda keys: self.cited(keys, "{} ({})"),
            "cite:p": lambda keys: f"({self.cited(keys, '{}, {}')})",
        }
        if name not in roles:
            raise unknown("role of a notebook's text", name, roles)
        return roles[name](text)

    def number(self, text: str, entry: str = "") -> str:
        """Return a value of the ledger as the page gives it; `entry` is that of a text that names none."""
        name, where, form = numbers.parsed(text, entry)
        return escaped(numbers.written(ledger.published(name).value(where), form))

    def term(self, text: str) -> str:
        """Return a link to a word's place in the glossary."""
        titled = _TITLED.fullmatch(text)
        title, target = (titled["title"], titled["target"]) if titled else (text, text)
        if target.lower() not in self._terms:
            raise unknown("term", target, sorted(self._terms.values()))
        place = re.sub(r"\W+", "-", self._terms[target.lower()])
        return f"[{title}]({self.published(_GLOSSARY)}#term-{place})"

    def cited(self, keys: str, form: str) -> str:
        """Return links to cited works; `form` puts their authors and year together."""
        return ", ".join(self._work(key.strip(), form) for key in keys.split(","))

    def link(self, target: str) -> str:
        """Return where a link of the page leads from anywhere else."""
        scheme, _, rest = target.partition(":")
        if scheme in {"colab", "repo"}:
            return (colab if scheme == "colab" else source)(self.address) + rest
        if re.match(r"[a-z][a-z+.-]*:", target):
            return target
        found = _PAGE.fullmatch(target)
        assert found  # every text is a page and a place, of which each may be empty
        beside = posixpath.join(posixpath.dirname(self.page), found["page"])
        page = posixpath.normpath(beside) if found["page"] else self.page
        if not any((self.root / f"{page}{suffix}").is_file() for suffix in (".ipynb", ".md")):
            raise BkdError(f"{target!r} is no page of the book")
        return self.published(page) + (found["place"] or "")

    def published(self, page: str | None = None) -> str:
        """Return the public address of a page, by default of this one."""
        return f"{site(self.address)}{page or self.page}.html"

    @cached_property
    def address(self) -> str:
        """The repository's public address."""
        return address(self.root)

    @cached_property
    def _terms(self) -> dict[str, str]:
        """Each word of the glossary as it is written there, by its lower case."""
        text = (self.root / f"{_GLOSSARY}.md").read_text(encoding="utf-8")
        listed = text.partition("```{glossary}\n")[2].partition("\n```")[0]
        return {line.lower(): line for line in listed.splitlines() if line and not line.startswith(" ")}

    @cached_property
    def _works(self) -> BibliographyData:
        from pybtex.database import parse_file

        return parse_file(str(self.root / "book" / "references.bib"))

    def _work(self, key: str, form: str) -> str:
        if key not in self._works.entries:
            raise unknown("work", key, self._works.entries)
        work = self._works.entries[key]
        paper = work.fields.get("eprint")
        there = f"https://arxiv.org/abs/{paper}" if paper else work.fields.get("url")
        there = there or self.published(_BIBLIOGRAPHY)
        return f"[{form.format(authors(work), work.fields['year'])}]({there})"


def authors(work: Entry) -> str:
    """Return who wrote a work, by last names: one, both, or the first of more."""
    names = [" ".join(map(str, person.rich_last_names)) for person in work.persons["author"]]
    if len(names) > 2 or names[-1] == "others":
        return f"{names[0]} et al."
    return " and ".join(names)


def escaped(text: str) -> str:
    """Return plain text so that Markdown shows it as it is."""
    return _MARKUP.sub(r"\\\g<0>", text)
