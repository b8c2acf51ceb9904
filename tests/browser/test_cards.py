"""What the finished pages say of themselves; read from the HTML, no browser is needed."""

from __future__ import annotations

import html
import re
from pathlib import Path
from xml.etree import ElementTree as ET

from survey import names

from bkdwidgets.book.addresses import address, site

BASE = site(address(Path(__file__).resolve().parents[2]))
PLAIN = {"404.html", "index.html", "licenses/index.html"}  # not the theme's


def tag(text: str, name: str) -> str:
    found = re.search(rf'<meta (?:name|property)="{name}" content="([^"]*)">', text)
    return html.unescape(found[1]) if found else ""


def test_every_page_has_a_title_of_its_own_a_description_and_a_card(book):
    titles, described = {}, {}
    for name in set(names(book)) - PLAIN:
        text = (book / name).read_text(encoding="utf-8")
        assert text.count("<title>") == 1, name
        title = html.unescape(re.search(r"<title>\s*(.*?)\s*</title>", text)[1])
        parts = re.split(" [—-] ", title)
        assert len(set(parts)) == len(parts), f"{name} says its title twice: {title}"
        titles[name] = title
        assert tag(text, "og:title"), name
        assert tag(text, "og:image") == f"{BASE}_static/card.png", name
        assert tag(text, "og:url") == f"{BASE}{name}", name
        described[name] = tag(text, "description")
    assert len(set(titles.values())) == len(titles)
    chapters = [name for name in titles if name.startswith("book/")]
    assert all(40 <= len(described[name]) <= 204 for name in chapters), described
    assert (book / "_static" / "card.png").is_file()


def test_the_root_has_the_card_of_the_home_page(book):
    root, home = ((book / name).read_text("utf-8") for name in ("index.html", "book/intro.html"))
    for name in ("og:title", "og:description", "og:image"):
        assert tag(root, name) == tag(home, name) != ""


def test_the_list_of_pages_names_those_that_are_there(book):
    listed = [one.text for one in ET.parse(book / "sitemap.xml").getroot().iter() if one.tag.endswith("loc")]
    assert f"{BASE}book/intro.html" in listed
    assert [name for name in listed if not (book / name.removeprefix(BASE)).is_file()] == []
    assert len(listed) >= len([name for name in names(book) if name.startswith("book/")])


def test_a_wrong_turn_leads_home_from_any_depth(book):
    text = (book / "404.html").read_text(encoding="utf-8")
    assert re.findall(r'<a href="([^"]*)"', text) == [BASE]
    assert not re.findall(r'(?:src|href)="(?!https:|data:)', text), "leans on a file beside it"
