"""MyST of a chapter as Markdown that every notebook shows.

JupyterLab, VS Code and Colab know no role and no directive: they would show ``{ledger}`` and an address where
the page has a number. Here roles become what they say, and directives become what Markdown has: a box a
quotation, a fold ``<details>``, a ledger's table a table of pipes. All else stays as it was written.

The text is read by the parser that reads it for the page, so code, formulas and escapes are not touched. What
has no form in a notebook is refused by name.
"""

from __future__ import annotations

import html
import re
from bisect import bisect
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from bkdwidgets.book import numbers
from bkdwidgets.book.addresses import SOLUTION
from bkdwidgets.core.errors import BkdError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

    from bkdwidgets.book.references import References

EXTENSIONS = {"colon_fence", "deflist", "dollarmath", "attrs_inline", "attrs_block"}
"""MyST's extensions in the chapters, as ``_config.yml`` names them."""

_FENCES = {"fence", "colon_fence"}
_INFO = re.compile(r"\{(?P<name>[\w:-]+)\}\s*(?P<title>.*)", re.DOTALL)
_OPTIONS = re.compile(r"(?::[\w-]+:.*\n?)*")
_OPTION = re.compile(r"^:(?P<name>[\w-]+):\s*(?P<value>.*)$", re.MULTILINE)


class Directive(NamedTuple):
    """A directive in a text."""

    name: str
    title: str
    body: str
    """Without the options."""
    options: dict[str, str]
    first: int
    """Line in which it begins, counted from zero."""
    end: int
    """Line behind its last one."""
    level: int
    """How many lists and quotations it stands in."""


class _Noted(NamedTuple):
    """A role, a link, a picture or a span of a paragraph."""

    token: Token
    start: int
    label: int
    """Where the label of a link or a span ends; a role has none."""
    end: int


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def plain(text: str, references: References) -> str:
    """Return a text cell's MyST as Markdown.

    Parameters
    ----------
    text : str
        What the cell holds.
    references : References
        What its roles and links lead to.

    Raises
    ------
    BkdError
        If a role or a directive has no form in a notebook, or what it names is unknown.
    """
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    edits: list[_Edit] = []
    cursor = (0, 0)
    for token in parsed(text):
        if token.map and (found := _directive(token)):
            new = _block(lines, found, _shown(found, references))
            edits.append(_Edit(starts[found.first], starts[found.end] - 1, new))
        elif token.type == "inline" and token.map and (inside := _inline(token.content, references)):
            places, cursor = _places(lines, token.content, max(cursor, (token.map[0], 0)))
            edits += [_Edit(*_in_source(starts, places, edit), edit.text) for edit in inside]
        elif token.type.startswith("myst_"):
            raise BkdError(
                f"{token.type.removeprefix('myst_')} in {text[:40]!r}: a notebook has no form for it"
            )
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def directives(text: str) -> list[Directive]:
    """Return the directives of a text, without those that stand inside others."""
    return [found for token in parsed(text) if token.map and (found := _directive(token))]


def parsed(text: str) -> list[Token]:
    """Return what MyST's parser makes of a text."""
    return _parser().parse(text)


@cache
def _parser() -> MarkdownIt:
    """Return MyST's parser; its rules for roles, links and spans also say what to write in their place."""
    parser = create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)
    rules = dict(zip(parser.inline.ruler.get_active_rules(), parser.inline.ruler.getRules(""), strict=True))
    for name in ("myst_role", "link", "image", "span"):
        parser.inline.ruler.at(name, _noting(name, rules[name]))
    return parser


def _noting(name: str, rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    """Return an inline rule that also notes the token it made, and where in the text it found it."""

    def noting(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the parser's way of calling
        start, place = state.pos, len(state.tokens) + bool(state.pending)
        done = rule(state, silent)
        if done and not silent:
            label = -1 if name == "myst_role" else state.md.helpers.parseLinkLabel(state, start)
            state.env.setdefault("noted", []).append(_Noted(state.tokens[place], start, label, state.pos))
        return done

    return noting


def _inline(content: str, references: References) -> list[_Edit]:
    """Return what changes in a paragraph's text."""
    noted: dict[str, list[_Noted]] = {}
    _parser().inline.parse(content, _parser(), noted, [])
    return [edit for item in noted.get("noted", []) for edit in _edits(content, references, item)]


def _edits(content: str, references: References, noted: _Noted) -> Iterator[_Edit]:
    token, start, label, end = noted
    if token.type == "myst_role":
        yield _Edit(start, end, references.role(token.meta["name"], token.content))
    elif token.type == "span_open":  # a trigger's words, which the page colors
        yield _Edit(start, start + 1, "**")
        yield _Edit(label, end, "**")
    elif token.type == "link_open" and content[label + 1 : label + 2] == "(":
        yield _Edit(label + 1, end, f"({references.link(str(token.attrGet('href')))})")
    elif token.type == "image":
        raise BkdError(f"{content[start:end]!r}: a notebook's text has no pictures; link to the page's")


def _places(
    lines: list[str], content: str, cursor: tuple[int, int]
) -> tuple[list[tuple[int, int, int]], tuple[int, int]]:
    """Find a paragraph's lines in the source, from a line and column on.

    Returns
    -------
    list of (int, int, int)
        For each of its lines: where it begins in the paragraph, the source's line, and its column there.
    tuple of int
        Where in the source it ends.
    """
    first, column = cursor
    found = []
    begin = 0
    for number, line in enumerate(content.split("\n"), start=first):
        column = lines[number].index(line, column if number == first else 0)
        found.append((begin, number, column))
        begin += len(line) + 1
        cursor = number, column + len(line)
    return found, cursor


def _in_source(starts: list[int], places: list[tuple[int, int, int]], edit: _Edit) -> tuple[int, int]:
    def offset(position: int) -> int:
        begin, number, column = places[bisect(places, position, key=lambda place: place[0]) - 1]
        return starts[number] + column + position - begin

    return offset(edit.start), offset(edit.end - 1) + 1


def _directive(token: Token) -> Directive | None:
    info = _INFO.fullmatch(token.info.strip()) if token.type in _FENCES else None
    if info is None or token.map is None:
        return None
    head = _OPTIONS.match(token.content)
    assert head  # no option is a match too
    options = {option["name"]: option["value"] for option in _OPTION.finditer(head[0])}
    body = token.content[head.end() :].strip("\n")
    first, end = token.map
    return Directive(info["name"], info["title"], body, options, first, end, token.level)


def _shown(found: Directive, references: References) -> list[str]:
    """Return the lines that stand for a directive in a notebook."""
    if found.name == "ledger-table":
        return _table(found, references)
    inside = plain(found.body, references).split("\n")
    if found.name == "dropdown" and found.title == SOLUTION:
        raise BkdError("a solution stands inside something else, where it would stay in a student's notebook")
    if found.name == "dropdown":
        opening = ["<details>", f"<summary>{html.escape(found.title)}</summary>"]
        return [*opening, "", *inside, "", "</details>"]
    if found.name == "admonition":
        return [f"> {line}".rstrip() for line in (f"**{found.title}**", "", *inside)]
    raise unknown("directive of a notebook's text", found.name, ("admonition", "dropdown", "ledger-table"))


def _table(found: Directive, references: References) -> list[str]:
    """Return a table of the ledger's values as Markdown."""
    entry = found.options.get("entry", "")
    header, *body = numbers.table_rows(found.body.split("\n"))
    rows = [
        [
            references.number(cell, entry) if numbers.is_reference(cell) else plain(cell, references)
            for cell in row
        ]
        for row in body
    ]
    caption = ["**Table.** " + plain(found.title, references), ""] if found.title else []
    return [*caption, *("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])]


def _block(lines: list[str], found: Directive, shown: list[str]) -> str:
    """Return a block's new lines, as far in as the old ones, with an empty line before and behind them."""
    margin = re.match(r"[ >]*(?=[:`~])", lines[found.first])
    if margin is None:
        raise BkdError(f"{lines[found.first]!r}: a directive needs a line of its own")
    before = [""] if found.first and lines[found.first - 1].strip(" >") else []
    behind = [""] if found.end < len(lines) and lines[found.end].strip(" >") else []
    return "\n".join((margin[0] + line).rstrip() for line in [*before, *shown, *behind])
