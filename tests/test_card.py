"""What a page says of itself: a description, a card, a place among the pages, a page for wrong turns."""

from __future__ import annotations

import pytest
from docutils.core import publish_doctree

from bkdwidgets.book import card


def page(text: str):
    return publish_doctree(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Title\n=====\n\nShort.\n\nThis is the first paragraph that says enough to be shown.\n",
         "This is the first paragraph that says enough to be shown."),
        ("**The claim.** A number can lie: the payload is gone and so is the answer.\n",
         "A number can lie: the payload is gone and so is the answer."),
        (f"This sentence is long enough to stand alone. {'And it goes on and on ' * 12}.\n",
         "This sentence is long enough to stand alone."),
        ("No.\n", ""),
    ],
)  # fmt: skip
def test_a_page_is_described_by_its_first_sentences(text, said):
    assert card.description(page(text)) == said


def test_a_page_without_text_has_no_description():
    assert card.description(None) == ""
    assert "description" not in card.tags("https://a.github.io/b/", "search.html", "Search", "", "Book")


def test_a_description_is_no_longer_than_is_shown():
    assert len(card.description(page("word " * 100))) <= 204


def test_tags_are_whole_addresses_and_text_stays_text():
    written = card.tags("https://a.github.io/b/", "book/x.html", '<b>"', "said", "Book")
    assert '<meta property="og:url" content="https://a.github.io/b/book/x.html">' in written
    assert 'content="https://a.github.io/b/_static/card.png"' in written
    assert "<b>" not in written
    assert '<meta name="description" content="said">' in written
