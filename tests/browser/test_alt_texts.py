"""Every picture has a name, and every figure a caption; read from the finished HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from bkdwidgets.book.csp import pages

VOID = {"img", "br", "hr", "input", "meta", "link", "source", "wbr", "area", "col", "embed", "base", "track"}


class Pictures(HTMLParser):
    """Collects what shows something and says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.nameless: list[str] = []
        self.n_figures = 0
        self._open: list[str] = []
        self._captioned: list[bool] = []

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        shown = f"<{tag} {' '.join(f'{name}={value[:60]!r}' for name, value in given.items())}>"
        named = any(given.get(name, "").strip() for name in ("alt", "aria-label", "aria-labelledby", "title"))
        hidden = given.get("aria-hidden") == "true" or given.get("role") == "presentation"
        drawn = "bkd-figure" in given.get("class", "").split()
        if (tag == "img" or drawn or (tag == "svg" and given.get("role") == "img")) and not (named or hidden):
            self.nameless.append(shown)
        if drawn and given.get("aria-label", "").strip() in {"figure", "Figure"}:
            self.nameless.append(shown)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "figure":
            self.n_figures += 1
            self._captioned.append(False)
        if tag == "figcaption" and self._captioned:
            self._captioned[-1] = True

    def handle_endtag(self, tag):
        if tag == "figure" and self._captioned and not self._captioned.pop():
            self.nameless.append("a <figure> without a caption")


def read(text: str) -> Pictures:
    found = Pictures()
    found.feed(text)
    return found


def test_every_picture_has_a_name_and_every_figure_a_caption(book):
    found = {
        page.relative_to(book).as_posix(): read(page.read_text(encoding="utf-8")) for page in pages(book)
    }
    assert {name: one.nameless for name, one in found.items() if one.nameless} == {}


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="a.png">', '<img src="a.png" alt=" ">', '<div class="bkd-figure bkd-plotly"></div>',
        '<div class="bkd-figure" aria-label="figure"></div>', "<figure><img alt='a' src='a'></figure>",
    ],
)  # fmt: skip
def test_a_picture_without_a_name_is_found(markup):
    assert read(markup).nameless


def test_a_picture_with_a_name_is_fine():
    assert not read(
        '<figure><div class="bkd-figure" aria-label="Heads"></div><figcaption>n</figcaption></figure>'
    ).nameless
