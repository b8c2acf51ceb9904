"""What every chapter owes its reader, as rules that a notebook keeps or breaks.

A rule takes a `Chapter` and yields what is wrong, in words that tell its author what to write. The rules have
the names of what a reader finds: the claim, the setup, the signature figure, the exercises, and so on.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SETUP_TEXT = (
    "On Colab the next cell installs the package. Where it is installed already, the cell does nothing."
)
INSTALL = """import importlib.util

if importlib.util.find_spec("bkdwidgets") is None:
    %pip install --quiet "bkdwidgets @ git+https://github.com/bkdwidgets/bkdwidgets\""""
SETUP = ("import bkdwidgets as bkd", "bkd.setup_notebook()")
LABS = (
    "AblationLab", "VectorLab", "AttentionView", "ProbeView", "Playground", "GridLab", "LabelLab",
)  # fmt: skip
CLOSING = ("Try it yourself", "Exercises", "In five lines", "References")
MAX_WIDTH = 88
MAX_LINES = 20
MAX_SENTENCES = 4

_ADMONITION = re.compile(
    r"^(?P<mark>:{3,})\{admonition\}[ ]*(?P<title>[^\n]*)\n(?P<body>.*?)^(?P=mark)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_EXERCISE = re.compile(
    r"^\*\*(?P<number>\d+)\. [^*\n]+\*\* \((?P<level>easy|medium|hard), \d+ minutes?\)\. +\S", re.MULTILINE
)
_NOT_PROSE = re.compile(r"(?:\{[\w:-]+\})?(?P<ticks>`+).+?(?P=ticks)|\$[^$]+\$|\]\([^)]*\)", re.DOTALL)


@dataclass(frozen=True)
class Chapter:
    """A notebook as its reader meets it."""

    name: str
    notebook: dict[str, Any]
    keys: frozenset[str]
    """Keys of the bibliography."""

    @property
    def cells(self) -> list[dict[str, Any]]:
        return self.notebook["cells"]

    def tagged(self, tag: str) -> list[dict[str, Any]]:
        return [cell for cell in self.cells if is_code(cell) and tag in cell["metadata"].get("tags", [])]

    def text(self) -> str:
        """All prose, with code cells as empty paragraphs."""
        return "\n\n".join("" if is_code(cell) else source(cell) for cell in self.cells) + "\n"

    def sections(self) -> dict[str, str]:
        """Title of each ``##`` section -> its prose, in order."""
        parts = re.split(r"^## +(.+?) *$", self.text(), flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    def admonitions(self, title: str) -> list[re.Match[str]]:
        found = _ADMONITION.finditer(self.text())
        return [match for match in found if match["title"].strip() == title]


def read(path: Path, keys: frozenset[str]) -> Chapter:
    return Chapter(path.stem, json.loads(path.read_text(encoding="utf-8")), keys)


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def is_code(cell: dict[str, Any]) -> bool:
    return cell["cell_type"] == "code"


def bullets(text: str) -> list[str]:
    return re.findall(r"^[-*] +(\S.*)$", text, re.MULTILINE)


def n_sentences(text: str) -> int:
    """Count sentences; a dot inside a role, code, a formula or an address ends none."""
    plain = _NOT_PROSE.sub("x", text).strip()
    return len(re.findall(r"[.!?]+(?=\s+[A-Z*`\"“(\[]|$)", plain))


def form(chapter: Chapter) -> Iterator[str]:
    """A notebook of format 4.5 without outputs, with readable cell names."""
    notebook = chapter.notebook
    if (notebook["nbformat"], notebook["nbformat_minor"]) != (4, 5):
        yield f"nbformat {notebook['nbformat']}.{notebook['nbformat_minor']}, not 4.5"
    if notebook["metadata"] != KERNEL:
        yield f"the notebook's metadata are not {KERNEL}"
    ids = [cell.get("id", "") for cell in chapter.cells]
    yield from (f"cell id {name!r} twice" for name in sorted(set(ids)) if ids.count(name) > 1)
    yield from (
        f"cell id {name!r}, not readable as probe-03 is"
        for name in ids
        if not re.fullmatch(r"[a-z]+(?:-[a-z]+)*-\d\d[a-z]?", name)
    )
    for cell in chapter.cells:
        if cell.get("outputs") or cell.get("execution_count") is not None:
            yield f"{cell['id']} has outputs or an execution count"


def opening(chapter: Chapter) -> Iterator[str]:
    """Title, claim, baseline, control, objectives, minutes and prerequisites, in this order."""
    first = source(chapter.cells[0])
    if is_code(chapter.cells[0]) or not re.match(r"# \S", first):
        yield "the first cell does not begin with '# Title'"
    starts = (
        "**The claim.**", "**The baseline.**", "**The control.**", "**You will be able to**",
    )  # fmt: skip
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", first)]
    found = {start: [part for part in paragraphs if part.startswith(start)] for start in starts}
    for start, parts in found.items():
        if len(parts) != 1:
            yield f"{len(parts)} paragraphs of the first cell begin with {start}, not one"
        elif start in starts[:3]:
            n = n_sentences(parts[0].removeprefix(start))
            if not 1 <= n <= MAX_SENTENCES:
                yield f"{start} has {n} sentences, not 1 to {MAX_SENTENCES}"
    able = first.partition(starts[3])[2].partition("**Time:**")[0]
    if len(bullets(able)) != 3:
        yield f"{starts[3]} has {len(bullets(able))} bullets, not 3"
    if not re.search(r"\*\*Time:\*\* \d+ minutes\.", first):
        yield "no '**Time:** NN minutes.' in the first cell"
    if not re.search(r"\*\*You need:\*\* +\S", first):
        yield "no '**You need:**' with prerequisites in the first cell"
    places = [first.find(start) for start in (*starts, "**Time:**", "**You need:**")]
    if places != sorted(places):
        yield "claim, baseline, control, objectives, time and prerequisites are not in this order"


def setup(chapter: Chapter) -> Iterator[str]:
    """The cells that install and import the package, alike in all chapters."""
    said, install, imports = (chapter.cells[1:4] + [{"cell_type": "", "source": "", "metadata": {}}] * 3)[:3]
    if " ".join(source(said).split()) != SETUP_TEXT:
        yield f"the second cell does not say: {SETUP_TEXT}"
    if source(install).strip() != INSTALL:
        yield f"the third cell is not the install cell:\n{INSTALL}"
    if install["metadata"].get("tags") != ["hide-input"]:
        yield "the install cell is not tagged hide-input, and nothing else"
    lines = [line for line in source(imports).splitlines() if line.strip()]
    other = [line for line in lines if line not in SETUP and not line.startswith(("import ", "from "))]
    if other or not set(SETUP) <= set(lines):
        yield f"the fourth cell is not {' and '.join(SETUP)}, with other imports at most"


def figures(chapter: Chapter) -> Iterator[str]:
    """One signature figure and at least one lab."""
    signatures = chapter.tagged("signature")
    if len(signatures) != 1:
        yield f"{len(signatures)} code cells are tagged signature, not one"
    yield from (f"{cell['id']} is tagged signature and calls no bkd.figure(...)"
                for cell in signatures if "bkd.figure(" not in source(cell))  # fmt: skip
    call = re.compile(rf"\b(?:{'|'.join(LABS)})\(")
    labs = [cell for cell in chapter.cells if is_code(cell) and call.search(source(cell))]
    if not labs:
        yield f"no lab; known: {', '.join(LABS)}"
    for cell in labs:
        if cell not in chapter.tagged("full-width"):
            yield f"{cell['id']} has a lab and is not tagged full-width"


def predict(chapter: Chapter) -> Iterator[str]:
    """A question to answer before the answer is shown."""
    found = chapter.admonitions("Predict, then reveal")
    if not found:
        yield "no ':::{admonition} Predict, then reveal'"
    text = chapter.text()
    for match in found:
        if ":class: tip" not in match["body"]:
            yield "'Predict, then reveal' has no ':class: tip'"
        if "?" not in match["body"]:
            yield "'Predict, then reveal' asks no question"
        after = text[match.end() :].partition("## Try it yourself")[0]
        if "{dropdown} Reveal" not in after and not re.search(r"^## ", after, re.MULTILINE):
            yield "'Predict, then reveal' is followed neither by ':::{dropdown} Reveal' nor by a section"


def limits(chapter: Chapter) -> Iterator[str]:
    """What the chapter does not show."""
    found = chapter.admonitions("What this does not show")
    if len(found) != 1:
        yield f"{len(found)} times ':::{{admonition}} What this does not show', not once"
    for match in found:
        if ":class: warning" not in match["body"]:
            yield "'What this does not show' has no ':class: warning'"
        if not 3 <= len(bullets(match["body"])) <= 5:
            yield f"'What this does not show' has {len(bullets(match['body']))} bullets, not 3 to 5"
        if "## Try it yourself" not in chapter.text()[match.end() :]:
            yield "'What this does not show' does not stand before '## Try it yourself'"


def closing(chapter: Chapter) -> Iterator[str]:
    """The last sections, in their order."""
    titles = list(chapter.sections())
    if tuple(titles[-4:]) != CLOSING:
        yield f"the last sections are {titles[-4:]}, not {list(CLOSING)}"
    if len(titles) <= len(CLOSING):
        yield "no section tells the story"


def try_it(chapter: Chapter) -> Iterator[str]:
    """A sentence and one cell to change."""
    inside = _cells_of(chapter, "Try it yourself", "Exercises")
    if sum(map(is_code, inside)) != 1:
        yield f"'Try it yourself' has {sum(map(is_code, inside))} code cells, not one"
    if not chapter.sections().get("Try it yourself", "").strip():
        yield "'Try it yourself' says nothing before its cell"


def exercises(chapter: Chapter) -> Iterator[str]:
    """Four to eight exercises, each with its difficulty, minutes, a hint and a solution."""
    text = chapter.sections().get("Exercises", "")
    starts = list(_EXERCISE.finditer(text))
    numbers = [int(start["number"]) for start in starts]
    attempts = len(re.findall(r"^\*\*\d+\.", text, re.MULTILINE))
    if attempts != len(starts):
        yield f"{attempts - len(starts)} do not begin as '**1. Title** (easy, 10 minutes). Question'"
    if not 4 <= len(starts) <= 8:
        yield f"{len(starts)} exercises, not 4 to 8"
    if numbers != list(range(1, len(starts) + 1)):
        yield f"the exercises are numbered {numbers}"
    ends = [start.start() for start in starts[1:]] + [len(text)]
    for start, end in zip(starts, ends, strict=True):
        parts = [text.find(f"{{dropdown}} {part}", start.end(), end) for part in ("Hint", "Solution")]
        if -1 in parts or parts != sorted(parts):
            yield f"exercise {start['number']} has not the dropdowns Hint and then Solution"
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL), 1):
        try:
            ast.parse(textwrap.dedent(block))
        except SyntaxError as error:
            yield f"python block {number} of the solutions: {error}"


def summary(chapter: Chapter) -> Iterator[str]:
    """Five lines."""
    n = len(bullets(chapter.sections().get("In five lines", "")))
    if n != 5:
        yield f"'In five lines' has {n} bullets, not five"


def references(chapter: Chapter) -> Iterator[str]:
    """Two to six works that are in the bibliography, each with why to read it."""
    found = bullets(chapter.sections().get("References", ""))
    if not 2 <= len(found) <= 6:
        yield f"{len(found)} references, not 2 to 6"
    for line in found:
        cited = [key for keys in re.findall(r"\{cite:t\}`([^`]+)`", line) for key in keys.split(",")]
        if not cited:
            yield f"a reference without {{cite:t}}`key`: {line}"
        yield from (f"{key!r} is not in book/references.bib" for key in cited if key not in chapter.keys)
        if len(re.findall(r"\w+", _NOT_PROSE.sub(" ", line))) < 3:
            yield f"a reference that does not say why to read it: {line}"


def code(chapter: Chapter) -> Iterator[str]:
    """Short cells with prose around them; anything longer lives in the package."""
    for cell in filter(is_code, chapter.cells):
        lines = source(cell).splitlines()
        if cell is not chapter.cells[2]:  # the install cell spells an address out
            yield from (f"{cell['id']}: {len(line)} characters, more than {MAX_WIDTH}: {line}"
                        for line in lines if len(line) > MAX_WIDTH)  # fmt: skip
        n = sum(bool(line.strip()) for line in lines)
        if n > MAX_LINES:
            yield f"{cell['id']}: {n} lines of code, more than {MAX_LINES}; the package is the place for it"
    after_setup = chapter.cells[3:]
    for before, cell in pairwise(after_setup):
        if is_code(before) and is_code(cell):
            yield f"no prose between {before['id']} and {cell['id']}"
    if is_code(chapter.cells[-1]):
        yield f"no prose after {chapter.cells[-1]['id']}"


RULES: dict[str, Callable[[Chapter], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        form,
        opening,
        setup,
        figures,
        predict,
        limits,
        closing,
        try_it,
        exercises,
        summary,
        references,
        code,
    )
}


def _cells_of(chapter: Chapter, title: str, until: str) -> list[dict[str, Any]]:
    """Return the cells from the one that holds a heading to the one that holds the next."""
    places = [
        next((i for i, cell in enumerate(chapter.cells) if not is_code(cell)
              and re.search(rf"^## +{name} *$", source(cell), re.MULTILINE)), 0)
        for name in (title, until)
    ]  # fmt: skip
    return chapter.cells[places[0] : max(places)]
