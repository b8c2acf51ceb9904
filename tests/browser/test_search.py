"""The book's own search, in the reader's browser."""

from __future__ import annotations

import pytest


@pytest.fixture
def found(book_url, page):
    """Return a function that searches and returns the pages found, by the path in their links."""

    def asked(words: str) -> list[str]:
        page.goto(f"{book_url}search.html?q={words}", wait_until="load")
        page.wait_for_function(
            "() => /found|did not match/i.test(document.querySelector('#search-results')?.innerText ?? '')"
        )
        links = page.locator("#search-results ul.search a").evaluate_all(
            "all => all.map((one) => one.pathname)"
        )
        return [link.partition("/book/")[2] for link in links]

    return asked


def test_search_finds_acie(found, page):
    pages = found("ACIE")
    assert "appendix/glossary.html" in pages
    assert "turn-by-hand.html" in pages
    assert "attribute.html" in pages
    assert page.record.complaints() == []
    assert page.record.outside() == []


def test_search_for_what_is_nowhere_says_so(found, page):
    assert found("xylophonequark") == []
    assert "did not match" in page.locator("#search-results").inner_text()
