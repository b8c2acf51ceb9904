"""The labs of the built chapter with a model in the page: nano by itself, smollm2 when it is asked for."""

from __future__ import annotations

from reading import opened

CHAPTER = "book/turn-by-hand.html"


def lab(page, kind: str, number: int):
    """Return a lab of the chapter: 0 is smollm2's, 1 is nano's."""
    return page.locator(f".bkd-{kind}-lab").nth(number)


def state(cell, wanted: str) -> None:
    cell.locator(f'.bkd-live[data-state="{wanted}"]').wait_for(timeout=120_000)


def answered_here(cell) -> None:
    cell.locator('.bkd-engine[data-engine="browser"]').wait_for(timeout=60_000)


def test_smollm2_waits_to_be_asked(tour):
    for kind in ("ablation", "vector"):
        cell = lab(tour, kind, 0)
        state(cell, "offered")
        assert "MB)" in cell.get_by_role("button", name="Load the model").inner_text()
    large = [url for url in tour.record.requests if "/subjects/smollm2/" in url and url.endswith(".bin")]
    assert large == []


def test_nano_loads_by_itself_and_answers_what_no_table_has(tour):
    cell = lab(tour, "ablation", 1)
    cell.scroll_into_view_if_needed()
    state(cell, "live")
    for head in ("L7H1", "L6H2", "L3H3"):
        cell.locator(f'[data-head="{head}"]').click()
    answered_here(cell)
    assert "(3 of 64" in cell.locator(".bkd-sentence").inner_text()
    assert cell.locator(".bkd-completion").count() >= 2
    cell.get_by_role("button", name="resample").click()
    cell.get_by_role("button", name="everywhere").click()
    answered_here(cell)
    assert "at every token" in cell.locator(".bkd-sentence").inner_text()


def test_nanos_vector_goes_to_any_scale_by_keyboard(tour):
    cell = lab(tour, "vector", 1)
    cell.scroll_into_view_if_needed()
    state(cell, "live")
    scale = cell.get_by_role("slider", name="scale")
    scale.focus()
    tour.keyboard.press("ArrowLeft")
    answered_here(cell)
    assert "0.75 × v at layer" in cell.locator(".bkd-sentence").inner_text()
    cell.locator(".bkd-curve .bkd-point").nth(15).wait_for()
    assert "this prompt, live" in cell.locator(".bkd-curve-box").inner_text()


def test_from_the_disk_the_labs_say_why_and_answer_from_their_tables(book, new_page):
    page, record = new_page()
    opened(page, (book / CHAPTER).resolve().as_uri())
    for number in (0, 1):
        cell = lab(page, "ablation", number)
        state(cell, "absent")
        assert "from the disk" in cell.locator(".bkd-live").inner_text()
        assert cell.locator(".bkd-completion").count() > 0
    assert record.complaints() == []
