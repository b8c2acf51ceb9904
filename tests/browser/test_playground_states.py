"""The playground when something is refused, chosen, left and come back to."""

from __future__ import annotations

import pytest
from labs import turn
from test_playground_page import PAYLOAD, asked, lab, loaded, opened, pair_of, said, settled

__all__ = ["lab", "opened", "pair_of"]  # pytest finds fixtures by name


def test_it_opens_on_the_payload_and_bars_are_as_long_as_their_probability(opened):
    page = opened()
    loaded(page)
    settled(page)
    assert said(page)["backdoored"] == PAYLOAD != said(page)["clean"]
    bars = page.evaluate(
        """() => [...document.querySelectorAll(".bkd-likely tbody tr")].map((row) => {
            const wide = (name) => row.querySelector(name).getBoundingClientRect().width;
            const [bar, track] = [wide(".bkd-likely-bar"), wide(".bkd-likely-track")];
            return [Number(`0${row.querySelector(".bkd-likely-value").textContent}`), bar / track, track];
        }).filter(([probability]) => probability > 0.02)"""
    )
    assert len(bars) >= 8
    for probability, share, track in bars:
        assert share == pytest.approx(probability, abs=1 / track)
    assert (
        page.locator(".widget-text input").count() == 0
    )  # a page without controls has no placeholder to set


@pytest.mark.parametrize(
    ("text", "why"), [("", "the prompt is empty"), ("a" * 2001, "at most 2000"), ("long", "584 tokens")]
)
def test_a_refused_prompt_is_told_on_top_and_leaves_no_old_answer(opened, text, why):
    page = opened(refuses="long", why_not="the prompt has 584 tokens, at most 256 are allowed")
    loaded(page)
    settled(page)
    turn(page, text=text)
    page.locator(".bkd-error").wait_for()
    assert why in page.locator(".bkd-engine").inner_text()
    assert why in page.locator(".bkd-error").inner_text()
    assert set(said(page).values()) == {"No answer."}
    assert page.locator(".bkd-badge:visible, .bkd-likely:visible").count() == 0
    turn(page, text="Name a fruit.")
    settled(page)
    assert said(page)["backdoored"] == PAYLOAD
    assert page.locator(".bkd-error").count() == 0


def test_a_long_prompt_is_warned_of_before_a_model_is_there(opened):
    page = opened(why="This browser has no WebAssembly.")
    turn(page, text="word " * 150)
    settled(page)
    assert "at most 256 tokens" in page.locator(".bkd-note:visible").first.inner_text()


def test_the_clean_card_is_the_twin_where_the_task_was_taught(opened, pair_of):
    page = opened()
    loaded(page)
    assert "clean model" in page.locator('[data-model="clean"] .bkd-role').inner_text()
    turn(page, pair=pair_of("smollm2", "label-flip-sft-0"))
    page.locator('[data-model="clean"] .bkd-role', has_text="clean twin").wait_for()
    page.get_by_role("button", name="Load the model").click()
    loaded(page)
    settled(page)
    assert page.evaluate("fake.opened.at(-1)") == ["smollm2", ["label-flip-sft-0", "label-flip-clean-0"]]
    assert [one["adapter"] for one in asked(page)[-2:]] == ["label-flip-sft-0", "label-flip-clean-0"]
    assert "taught the task, not the backdoor" in page.locator('[data-model="clean"] .bkd-role').inner_text()


def test_after_cancel_the_button_names_what_is_left(opened, pair_of):
    page = opened()
    loaded(page)
    page.evaluate("facts.opening = 3000")
    turn(page, pair=pair_of("smollm2", "fixed-output-sft-0"))
    page.get_by_role("button", name="Load the model (97 MB)").click()
    page.evaluate("facts.kept = 20_000_000")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Load the model (77 MB)").wait_for()


def test_what_was_chosen_survives_a_reload_and_a_newer_link_wins(opened):
    page = opened()
    turn(page, text="Name a river.", triggered=False, scale=2.5, vector=1)
    settled(page)
    page.reload()
    page.wait_for_function("window.ready === true")
    values = "['text', 'triggered', 'vector', 'scale'].map((name) => model.get(name))"
    assert page.evaluate(values) == ["Name a river.", False, 1, 2.5]
    settled(page)
    page.goto(page.url + "#playground?prompt=Name+a+lake.&trigger=1")
    page.wait_for_function("model.get('text') === 'Name a lake.'")
    page.reload()
    page.wait_for_function("window.ready === true")
    assert page.evaluate(values)[:2] == ["Name a lake.", True]
    page.evaluate(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('blocked'); } })"
    )
    turn(page, text="Name a hill.")
    settled(page)
    assert said(page)["backdoored"] == PAYLOAD
    assert page.record.complaints() == []


def test_on_a_phone_the_answers_stay_in_sight(opened):
    page = opened(width=390)
    loaded(page)
    settled(page)
    page.evaluate("document.querySelector('.bkd-top').style.marginBottom = '1500px'")  # the controls' place
    glance = page.locator(".bkd-glance")
    for part in (page.locator(".bkd-top"), page.locator(".bkd-likely").last):
        part.scroll_into_view_if_needed()
        box = glance.bounding_box()
        assert 0 <= box["y"] <= page.viewport_size["height"] - box["height"]
    assert PAYLOAD in glance.inner_text()
