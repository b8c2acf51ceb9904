"""The Content-Security-Policy of every built page: it forbids what nobody needs, and all labs still work."""

from __future__ import annotations

import re

import pytest
from reading import SUB_PATH
from survey import LISTEN, names

from bkdwidgets.book.csp import policy, script_hash


@pytest.fixture
def watched(new_page):
    """Return a function that opens an address, or a text served there, and records every violation."""

    def opened(url: str, text: str = ""):
        page, record = new_page()
        page.record = record
        if text:
            page.route(url, lambda route: route.fulfill(body=text, content_type="text/html"))
        page.add_init_script(LISTEN)
        page.goto(url, wait_until="load")
        page.wait_for_load_state("networkidle")
        return page

    return opened


@pytest.mark.parametrize("view", ["desk", "phone", "disk"])
def test_no_page_breaks_its_policy_while_all_labs_work(book, survey, view):
    assert len(names(book)) > 4
    for name in names(book):
        visit = survey(name, view)
        assert visit.violations == [], name
        assert visit.record.complaints() == [], name
        assert visit.counts["failed"] == 0, name


def test_every_page_names_no_other_host_and_allows_no_strange_script(book):
    for name in names(book):
        text = (book / name).read_text(encoding="utf-8")
        content = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
        assert content, name
        rules = dict(rule.split(" ", 1) for rule in content[1].split("; "))
        assert not re.search(r"https?:|\*|//", re.sub(r"'sha256-[^']+'", "", content[1])), name
        assert "unsafe" not in rules["script-src"].replace("'wasm-unsafe-eval'", ""), name
        loaded = [text.find(tag) for tag in ("<script", "<link", "<style") if tag in text]
        assert text.index("Content-Security-Policy") < min(loaded), name


PLANTED = (
    '<p id="end">end</p><script>window.planted = "inline"</script>'
    '<img src="favicon.svg" alt="" onload="window.planted = \'handler\'">'
    '<a id="link" href="javascript:window.planted=\'link\'">link</a>'
)

EVALUATED = """() => new Promise((done) => {
    window.told = done;
    const script = document.createElement("script");
    const text = "try { eval('1'); told('ran'); } catch (error) { told(error.name); }";
    script.src = URL.createObjectURL(new Blob([text]));
    document.head.append(script);
})"""


def test_a_planted_script_is_blocked(book, book_url, watched):
    home = (book / "book/intro.html").read_text(encoding="utf-8")
    planted = home.replace("</article>", f"{PLANTED}</article>", 1)
    assert planted != home
    page = watched(f"{book_url}book/planted.html", planted)
    page.locator("#link").click()
    page.wait_for_function("window.violations.length >= 3")
    assert page.evaluate("window.planted") is None
    assert page.evaluate(EVALUATED) == "EvalError"


def test_another_host_cannot_be_asked(book_url, watched):
    page = watched(f"{book_url}book/intro.html")
    answer = page.evaluate("fetch('https://example.org/x').then(() => 'loaded', (error) => error.name)")
    assert answer == "TypeError"
    assert any("connect-src" in said for said in page.evaluate("window.violations"))
    assert [url for url in page.record.requests if "example.org" in url and "blocked" not in url] == []
    assert SUB_PATH in book_url


def test_a_policy_lists_each_hash_once():
    written = policy([script_hash("a"), script_hash("a")])
    assert written.count(script_hash("a")) == 1
