"""Every link of every built page leads somewhere: inside the book, and inside the repository.

Read from the finished HTML, after everything that writes links has written them; no browser is needed.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bkdwidgets.book.page import BRANCH, address
from bkdwidgets.book.policy import pages

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


def test_every_chapter_has_its_badge_for_colab(book):
    owner = address(ROOT).removeprefix("https://github.com/")
    listed = re.findall(r"file: (book/\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [name for name in listed if (ROOT / f"{name}.ipynb").is_file()]
    assert chapters
    for name in chapters:
        badge = f"https://colab.research.google.com/github/{owner}/blob/{BRANCH}/{name}.ipynb"
        assert badge in links(book / f"{name}.html").out, name
