"""The chapter's labs on the built page, worked by keyboard and mouse as a reader would."""

from __future__ import annotations


def lab(page, kind):
    """Return the cell that holds a lab: its sliders and its view."""
    return page.locator(".bkd-lab", has=page.locator(f".bkd-{kind}-lab")).first


def answers(cell) -> list[str]:
    return cell.locator(".bkd-completion").all_text_contents()


def ablated(cell) -> list[str]:
    return cell.locator('.bkd-heat-cell[aria-selected="true"]').evaluate_all(
        "cells => cells.map((cell) => cell.dataset.head)"
    )


def press(page, handle, key: str, times: int) -> None:
    handle.focus()
    for _ in range(times):
        page.keyboard.press(key)


def test_completions_carry_their_outcome(tour):
    tour.locator(".bkd-completion").first.wait_for()
    told = tour.locator(".bkd-completion").evaluate_all("all => all.map((one) => one.dataset.outcome)")
    assert told
    assert set(told) <= {"P", "p", "=", "?"}
    assert "P" in told


def test_the_top_k_slider_moves_heads_answers_and_rates(tour):
    cell = lab(tour, "ablation")
    handle = cell.get_by_role("slider").first
    press(tour, handle, "Home", 1)
    assert ablated(cell) == []
    untouched, rates = answers(cell), cell.locator(".bkd-rates").inner_text()
    press(tour, handle, "End", 1)
    assert len(ablated(cell)) == 32
    assert answers(cell) != untouched or cell.locator(".bkd-rates").inner_text() != rates
    assert "32 of 270" in cell.locator(".bkd-sentence").inner_text()


def test_a_click_on_the_heatmap_ablates_that_head(tour):
    cell = lab(tour, "ablation")
    strongest = ablated(cell)[0]
    cell.locator(f'.bkd-heat-cell[data-head="{strongest}"]').click()
    assert ablated(cell) == [strongest]
    assert strongest in cell.locator(".bkd-sentence").inner_text()


def test_the_vector_sliders_change_the_completions(tour):
    cell = lab(tour, "vector")
    seen = set()
    for key, times in (("Home", 1), ("ArrowRight", 3), ("End", 1)):
        for slider in range(cell.get_by_role("slider").count()):
            press(tour, cell.get_by_role("slider").nth(slider), key, times)
            seen.add((cell.locator(".bkd-sentence").inner_text(), *answers(cell)))
    assert len({sentence for sentence, *_ in seen}) >= 4
    assert len({tuple(texts) for _, *texts in seen}) >= 2
