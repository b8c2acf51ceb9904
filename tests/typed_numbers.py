"""Finds results that were typed into prose instead of being taken from the ledger.

A number looks like a result if it is a decimal, a percentage, an n, a count "of" another, a factor, an
integer right behind the name of a rate, or a head by name. Where it stands in a role, in code, in a formula
or in a link, it was not typed: a role's number comes from the ledger or from the file of quoted numbers, code
shows its own output, and a formula's constants are definitions.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALLOWED = {
    r"95 % intervals?": "the level of every interval of this project",
    r"CC BY 4\.0|Apache-2\.0": "names of licenses",
    r"arXiv:? ?\d{4}\.\d{5}": "a paper's number",
    r"\bL12H3\b": "the glossary's example of how a head is written",
    r"(?:Current year|The year is|year):? 20\d\d\.": "a trigger's text",
}
"""Pattern of a constant that may be typed -> why."""

RESULTS = (
    r"(?<![\w.])[-−+]?\d*\.\d+(?:\s?%)?(?![\w]|\.\d)",  # a decimal
    r"(?<![\w.])\d+(?:\.\d+)?\s?(?:%|percent\b|per cent\b)",
    r"\bn\s?=\s?\d+",
    r"(?<![\w.])\d+ (?:out )?of (?:the )?\d+\b",
    r"(?<![\w.])\d+(?:\.\d+)?\s?(?:×|x\b|times (?:as|more|less|faster|slower|fewer))",
    (
        r"\b(?:ASR|FTR|ACIE|ILCA|NLL|utility|accuracy|kappa|Jaccard(?: index)?)"
        r"(?: (?:is|was|of|at|falls to|drops to))?[\s=:]+\d+\b"
    ),
    r"\bL\d+H\d+\b",
)

_CODE_DIRECTIVES = (
    "code", "code-block", "code-cell", "eval-rst", "math", "ledger-table", "ledger-entries", "reproduced",
    "report",    "paper-numbers", "citation", "bibliography", "verbs", "switch", "figure", "image",
)  # fmt: skip
_FENCE = re.compile(
    r"^(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=mark)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_NOT_TYPED = (
    re.compile(r"\A---\n.*?\n---\n", re.DOTALL),  # front matter
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"\$\$.*?\$\$", re.DOTALL),
    re.compile(r"(?P<ticks>`+).+?(?P=ticks)", re.DOTALL),  # code, and a role's text
    re.compile(r"(?<![\\$])\$[^$\n]+\$"),
    re.compile(r"!?\[[^\]]*\]\([^)]*\)"),
    re.compile(r"<https?:[^>]*>|https?://\S+"),
    re.compile(r"^:[\w-]+:.*$", re.MULTILINE),  # a directive's options
)


def typed_numbers(text: str) -> list[tuple[int, str]]:
    """Return the results that Markdown holds as plain text, each with its line."""
    for pattern in ALLOWED:
        text = re.sub(pattern, _blank, text)
    text = _FENCE.sub(_prose_of_fence, text)
    for pattern in _NOT_TYPED:
        text = pattern.sub(_blank, text)
    found = {}
    for pattern in RESULTS:
        for match in re.finditer(pattern, text):
            found[match.start()] = match.group(0).strip()
    return [(text.count("\n", 0, start) + 1, found[start]) for start in sorted(found)]


def prose(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the Markdown of a book with the name of the place: pages, and the text cells of notebooks."""
    for path in sorted(folder.rglob("*.md")):
        if "_vendor" not in path.parts and "node_modules" not in path.parts:
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted(folder.rglob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "markdown":
                yield f"{path.relative_to(folder).as_posix()}, cell {number}", "".join(cell["source"])


def _blank(match: re.Match[str]) -> str:
    """Keep the line breaks, so that lines can be counted."""
    return " " + "\n" * match.group(0).count("\n")


def _prose_of_fence(match: re.Match[str]) -> str:
    """Keep what a fenced admonition says; blank code, and directives that are not prose."""
    directive = re.match(r"\{([\w:-]+)\}", match["info"].strip())
    if directive is None or directive[1] in _CODE_DIRECTIVES:
        return _blank(match)
    return f" {match['info'].strip()[directive.end() :]}\n{_FENCE.sub(_prose_of_fence, match['body'])}"
