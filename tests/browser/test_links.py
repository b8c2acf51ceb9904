"""Every link of every built page and notebook leads somewhere: inside the book, and inside the repository.

Read from the finished HTML, after everything that writes links has written them; no browser is needed.
"""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bkdwidgets.book.addresses import BRANCH, NOTEBOOKS, address, site, solution_id
from bkdwidgets.book.csp import pages

ROOT = Path(__file__).resolve().parents[2]
LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}


class Links(HTMLParser):
    """Collects where a page leads, and the places on it that can be led to."""

    def __init__(self) -> None:
        super().__init__()
        self.out: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if given.get(LINKS.get(tag, "")):
            self.out.append(given[LINKS[tag]])


@cache
def links(path: Path) -> Links:
    found = Links()
    found.feed(path.read_text(encoding="utf-8"))
    return found


def test_every_internal_link_resolves(book):
    broken = []
    n = 0
    for page in pages(book):
        for link in links(page).out:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            n += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                broken.append(f"{page.relative_to(book)}: {link}: no such file")
            elif (
                parts.fragment
                and target.suffix == ".html"
                and unquote(parts.fragment) not in links(target).places
            ):
                broken.append(f"{page.relative_to(book)}: {link}: no such place on the page")
    assert n > 100
    assert broken == []


def test_every_link_into_the_repository_names_a_file_of_it(book):
    url = address(ROOT)
    owner = url.removeprefix("https://github.com/")
    files = re.compile(rf"(?:github\.com|colab\.research\.google\.com/github)/{owner}/blob/{BRANCH}/([^#?]+)")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    known = set(listed.stdout.split("\0"))
    named = {
        (page.relative_to(book).as_posix(), match[1])
        for page in pages(book)
        for link in links(page).out
        if (match := files.search(link))
    }
    assert {file for _, file in named} >= {"README.md"}
    assert sorted((page, file) for page, file in named if file not in known) == []


def test_every_chapter_is_served_as_its_edition(book):
    owner = address(ROOT).removeprefix("https://github.com/")
    listed = re.findall(r"file: (book/\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [name for name in listed if (ROOT / f"{name}.ipynb").is_file()]
    assert chapters
    for name in chapters:
        file = f"{NOTEBOOKS}/{Path(name).name}.ipynb"
        led = links(book / f"{name}.html").out
        assert f"https://colab.research.google.com/github/{owner}/blob/{file}" in led, name
        assert f"../{file}" in led, name
        assert (book / file).is_file(), name


def test_colab_is_asked_for_nothing_but_editions(book):
    opened = re.compile(r"colab\.research\.google\.com/github/[^/]+/[^/]+/blob/([^#?)\s]+)")
    named = {match[1] for page in pages(book) for link in links(page).out if (match := opened.search(link))}
    named |= {match[1] for notebook in notebooks(book) for match in opened.finditer(text(notebook))}
    assert named
    assert sorted(file for file in named if not (book / file).is_file()) == []


def test_every_link_of_an_edition_into_the_book_resolves(book):
    there = re.compile(rf"{re.escape(site(address(ROOT)))}([^)#\s]*)(?:#([^)\s]+))?")
    named = {
        (notebook.name, *match.groups())
        for notebook in notebooks(book)
        for match in there.finditer(text(notebook))
    }
    assert {place for _, _, place in named} >= {solution_id(1), None}
    lost = [
        (name, file, place)
        for name, file, place in named
        if not (book / file).is_file() or (place and place not in links(book / file).places)
    ]
    assert sorted(lost, key=str) == []


def notebooks(book: Path) -> list[Path]:
    return sorted((book / NOTEBOOKS).rglob("*.ipynb"))


def text(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
