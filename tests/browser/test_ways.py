"""Ways through a page: what search finds and where it leads, and the contents beside the text."""

from __future__ import annotations

ALONE_ACTIVE = """(place) => [...document.querySelectorAll("#pst-page-toc-nav a.active")]
    .map((one) => one.hash.slice(1)).join() === place"""
PLACES = """() => [...document.querySelectorAll("#pst-page-toc-nav > ul > li > a")]
    .map((one) => one.hash.slice(1))"""
AT_TOP = """(place) => { // whether the page is long enough to have it there
    const section = document.getElementById(place);
    section.scrollIntoView({ behavior: "instant" });
    return section.getBoundingClientRect().top < 100;
}"""
RESULTS = """() => [...document.querySelectorAll("#search-results ul.search > li")].map((one) => {
    const link = one.querySelector("a");
    return [link.pathname.split("/").at(-1), link.hash, one.querySelector(".context")?.textContent ?? ""];
})"""


def test_a_hit_leads_to_its_section_and_reads_as_text(book_url, page):
    page.goto(f"{book_url}search.html?q=ACIE", wait_until="load")
    page.wait_for_function(
        "() => /found/.test(document.querySelector('#search-results')?.innerText ?? '')"
        " && document.querySelectorAll('#search-results .context').length > 4"
    )
    page.wait_for_load_state("networkidle")
    found = page.evaluate(RESULTS)
    chapters = [(name, place) for name, place, said in found if said and name.endswith(".html")]
    assert len(chapters) > 5
    assert [name for name, place in chapters if not place] == []
    said = " ".join(text for *_, text in found)
    assert "ACIE" in said
    assert "\\" not in said, "TeX is not for reading"
    assert any(name == "glossary.html" and "effect" in text for name, _, text in found)
    glass, field = (page.locator(f".bd-search-container {one}").bounding_box() for one in ("i", "input"))
    assert glass["x"] + glass["width"] <= field["x"] + 1, "the magnifier stands beside the words"
    assert page.record.complaints() == []


def test_the_contents_mark_the_section_that_is_read_both_ways(book_url, page):
    page.goto(book_url + "book/threat-model.html", wait_until="load")
    page.wait_for_load_state("networkidle")
    places = page.evaluate(PLACES)
    n_marked = 0
    for place in [*places, *reversed(places)]:
        if page.evaluate(AT_TOP, place):
            page.wait_for_function(ALONE_ACTIVE, arg=place)
            n_marked += 1
    assert n_marked > 8
    page.evaluate("scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' })")
    page.wait_for_function(ALONE_ACTIVE, arg=places[-1])
