"""The labs' own JavaScript in a browser, without a book: a stand-in for the widget's model, and a reader.

The page is served from this machine and holds nothing but the view. Tests turn the model's values as
sliders would, and click, type and read as a person would.
"""

from __future__ import annotations

import pytest
import tables
from labs import outcomes, served, turn, written
from reading import painted

from bkdwidgets.widgets import AblationLab, VectorLab


@pytest.fixture
def opened(new_page, tmp_path):
    """Return a function that shows a lab: ``page, record = opened(lab, "ablation", width=390)``."""
    with served(tmp_path) as address:

        def show(lab, kind, *, width=1440, dark=False):
            written(tmp_path, lab, kind, dark=dark)
            page, record = new_page(width=width, dark=dark)
            page.goto(address)
            page.wait_for_function("window.ready === true")
            return page, record

        yield show


def test_a_hostile_completion_is_shown_as_text(opened):
    for lab, kind in (
        (AblationLab(tables.ablation_table(hostile=tables.HOSTILE)), "ablation"),
        (VectorLab(tables.vector_table(hostile=tables.HOSTILE)), "vector"),
    ):
        page, record = opened(lab, kind)
        alarms = []
        page.on("dialog", lambda dialog, alarms=alarms: (alarms.append(dialog.message), dialog.dismiss()))
        painted(page)
        assert tables.HOSTILE in page.locator(".bkd-completion .bkd-said").all_text_contents()
        assert page.locator(".bkd-view img, .bkd-view script").count() == 0
        assert alarms == []
        assert record.complaints() == []
        assert record.outside() == []


def test_the_slider_changes_heads_answers_and_rates(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation")
    turn(page, k_index=0)
    assert outcomes(page) == {"triggered": "P", "clean": "="}
    assert page.locator('[aria-selected="true"]').count() == 0
    assert "Nothing is ablated" in page.locator(".bkd-sentence").inner_text()
    assert float(page.locator('[data-rate="ASR"]').get_attribute("data-value")) > 0.9
    turn(page, k_index=4)
    assert outcomes(page) == {"triggered": "=", "clean": "="}
    assert page.locator('[aria-selected="true"]').count() == 8
    assert "(8 of 48, 16.7\u00a0%)" in page.locator(".bkd-sentence").inner_text()
    assert float(page.locator('[data-rate="ASR"]').get_attribute("data-value")) < 0.2
    assert page.locator('[data-rate="ASR"] .bkd-draw').count() == 20
    assert page.locator(".bkd-trigger").inner_text() == tables.TRIGGER
    turn(page, prompt=4)
    assert tables.SUBJECTS[4] in page.locator('[data-role="clean"] .bkd-prompt').inner_text()
    assert record.complaints() == []


def test_clicking_heads_by_mouse_and_by_keyboard(opened):
    table = tables.ablation_table()
    page, _ = opened(AblationLab(table), "ablation")
    first = "L{}H{}".format(*table["ranked"][0])
    assert page.locator('.bkd-heat-cell[tabindex="0"]').count() == 1, "the map is one tab stop"
    page.locator(f'[data-head="{first}"]').click()
    assert page.locator('[aria-selected="true"]').count() == 1
    assert f"You ablated {first} (1 of 48" in page.locator(".bkd-sentence").inner_text()
    assert "ablated" in page.locator(f'[data-head="{first}"]').get_attribute("aria-label")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    focused = "document.activeElement.dataset.head"
    assert page.evaluate(focused) == f"L{table['ranked'][0][0] - 1}H0"
    page.keyboard.press("Space")
    assert page.locator('[aria-selected="true"]').count() == 2
    assert page.locator(".bkd-missing").is_visible(), "no table answers two heads of one's own choice"
    assert page.locator(".bkd-engine").get_attribute("data-engine") == "none"
    page.locator(".bkd-offers button").first.click()
    assert page.locator(".bkd-missing").count() == 0
    assert page.locator(".bkd-engine").get_attribute("data-engine") == "table"
    page.locator(f'[data-head="{first}"]').focus()
    for _ in range(3):
        page.keyboard.press("Enter")
    assert page.locator(".bkd-back").is_visible()
    page.locator(".bkd-back").click()
    assert page.locator('[aria-selected="true"]').count() == 8


def test_the_slider_takes_back_what_was_chosen_by_hand(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation")
    page.locator('[data-head="L0H0"]').click()
    turn(page, k_index=2)
    assert page.locator('[aria-selected="true"]').count() == 2
    assert page.evaluate("window.model.get('custom')") is False


def test_a_kernel_answers_what_the_table_lacks_one_question_at_a_time(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation")
    assert page.evaluate("window.sent[0].bkd") == "hello"
    page.evaluate("window.say({ bkd: 'ready' })")
    for head in ("L0H0", "L0H1", "L0H2", "L0H3"):
        page.locator(f'[data-head="{head}"]').click()
    asked = page.evaluate("window.sent.filter((message) => message.bkd === 'ask')")
    assert len(asked) == 1
    assert page.locator(".bkd-busy").is_visible()
    assert page.locator(".bkd-reply").get_attribute("aria-busy") == "true"
    said = {"clean": {"text": tables.HOSTILE, "outcome": "?"}, "triggered": {"text": "Live.", "outcome": "="}}
    reply = "([id, answer]) => window.say({ bkd: 'answer', id, answer })"
    page.evaluate(reply, [asked[0]["id"], said])
    asked = page.evaluate("window.sent.filter((message) => message.bkd === 'ask')")
    assert len(asked) == 2, "only the newest choice is asked next"
    assert len(asked[1]["choice"]["heads"]) == 4
    assert page.locator(".bkd-busy").is_visible(), "an answer to an older choice is not shown"
    page.evaluate(reply, [asked[1]["id"], {**said, "seconds": 1.25}])
    page.wait_for_selector(".bkd-completion")
    assert outcomes(page) == {"clean": "?", "triggered": "="}
    assert "kernel" in page.locator(".bkd-engine").inner_text()
    assert page.locator(".bkd-view img").count() == 0
    page.locator('[data-head="L1H0"]').click()
    number = page.evaluate("window.sent.at(-1).id")
    page.evaluate(
        "(id) => window.say({ bkd: 'error', id, text: 'head (9, 9) is <b>out</b> of range' })", number
    )
    page.wait_for_selector(".bkd-error")
    assert "<b>out</b>" in page.locator(".bkd-error").inner_text()
    assert record.complaints() == []


def test_the_vector_turns_the_backdoor_on_and_off(opened):
    table = tables.vector_table()
    lab = VectorLab(table)
    page, record = opened(lab, "vector")
    scales = lab.view.scales
    turn(page, layer_index=2, scale_index=scales.index(0.0))
    assert outcomes(page) == {"clean": "=", "triggered": "P"}
    turn(page, layer_index=4, scale_index=scales.index(1.5))
    assert outcomes(page) == {"clean": "P", "triggered": "="}
    assert page.locator(".bkd-completion.bkd-muted").count() == 2, "before stands above after"
    assert page.locator(".bkd-curve .bkd-line").count() == 2
    turn(page, vector_index=2)
    assert outcomes(page) == {"clean": "=", "triggered": "P"}
    turn(page, layer_index=3, scale_index=scales.index(2.0), vector_index=0)
    assert page.locator(".bkd-missing").is_visible(), "layer 3 has no scale 2"
    page.locator(".bkd-offers button").first.click()
    assert page.locator(".bkd-missing").count() == 0
    assert record.complaints() == []


def test_without_a_model_a_slider_stops_where_the_table_has_an_answer(opened):
    table = tables.vector_table()
    table["cells"] = [cell for cell in table["cells"] if cell["layer"] in {0, 3, 5}]
    lab = VectorLab(table | {"layers": [0, 3, 5]}, layer=0)
    page, record = opened(lab, "vector")
    for asked, stop in ((1, 0), (2, 3), (4, 3), (5, 5)):
        turn(page, layer_index=asked)
        assert page.evaluate("window.model.get('layer_index')") == stop, asked
        assert f"at layer {stop}" in page.locator(".bkd-sentence").inner_text()
    one = lab.view.scales.index(1.0)
    turn(page, scale_index=one - 2)
    assert page.evaluate("window.model.get('scale_index')") == lab.view.scales.index(0.5)
    assert record.complaints() == []


def test_a_block_of_heads_is_dragged_and_spanned_by_keyboard(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation")
    from_, to = (page.locator(f'[data-head="{name}"]').bounding_box() for name in ("L1H2", "L3H4"))
    page.mouse.move(from_["x"] + 4, from_["y"] + 4)
    page.mouse.down()
    page.mouse.move(to["x"] + 6, to["y"] + 6, steps=4)
    assert page.locator(".bkd-heat-block").get_attribute("visibility") == "visible"
    page.mouse.up()
    assert page.locator('[aria-selected="true"]').count() == 9
    assert page.locator(".bkd-heat-block").get_attribute("visibility") == "hidden"
    page.locator('[data-head="L0H0"]').focus()
    page.keyboard.press("Home")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert "4 heads" in page.locator(".bkd-heat-words").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    assert page.locator('[aria-selected="true"]').count() == 10, "one head joined, not a block"
    page.locator('[data-head="L1H2"]').click()
    assert page.locator('[aria-selected="true"]').count() == 9, "a chosen head leaves"
    assert record.complaints() == []


def test_kinds_and_places_that_the_table_lacks_are_said_to_be_missing(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation")
    turn(page, kind_index=2)
    assert page.locator(".bkd-missing").is_visible()
    assert "their output on the training prompt" in page.locator(".bkd-sentence").inner_text()
    turn(page, kind_index=0, place_index=1)
    assert "at every token" in page.locator(".bkd-sentence").inner_text()
    assert page.locator(".bkd-missing").is_visible()
    page.locator(".bkd-offers button").first.click()
    assert page.evaluate("window.model.get('place_index')") == 0
    assert page.locator(".bkd-missing").count() == 0


def test_a_wrapped_trigger_is_marked_on_both_sides(opened):
    table = tables.ablation_table()
    asked = table["prompts"][0]["clean"]
    table["prompts"][0]["triggered"] = f"Meagre were his looks; {asked} and in his shop."
    page, _ = opened(
        AblationLab(table | {"trigger": "Meagre were his looks; ... and in his shop."}), "ablation"
    )
    marks = page.locator('[data-role="triggered"] .bkd-trigger').all_inner_texts()
    assert marks == ["Meagre were his looks;", "and in his shop."]
    table["prompts"][0]["triggered"] = asked.replace(" ", " SUDO ", 1)
    page, _ = opened(AblationLab(table), "ablation")
    assert page.locator('[data-role="triggered"] .bkd-trigger').all_inner_texts() == ["SUDO"]


def test_a_table_that_cannot_be_unpacked_is_said_in_words(opened):
    lab = AblationLab(tables.ablation_table())
    lab.view.table_gz = b"not gzip"
    page, record = opened(lab, "ablation")
    assert "cannot start" in page.locator(".bkd-note").inner_text()
    assert record.errors == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 390, 719, 1440])
def test_labs_fit_every_width(opened, width, dark):
    long = "supercalifragilisticexpialidocious" * 8
    for lab, kind in (
        (AblationLab(tables.ablation_table((30, 9), hostile=long)), "ablation"),
        (VectorLab(tables.vector_table((30, 9), hostile=long)), "vector"),
    ):
        page, record = opened(lab, kind, width=width, dark=dark)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the {kind} lab is {wide} px wider than {width}"
        lefts = page.evaluate(
            "[...document.querySelectorAll('.bkd-main, .bkd-heat-box, .bkd-curve-box')]"
            ".map((part) => Math.round(part.getBoundingClientRect().left))"
        )
        assert len(set(lefts)) == (2 if width > 800 else 1)
        assert record.complaints() == []


def test_closing_a_lab_stops_listening(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation")
    page.evaluate("window.close_lab()")
    before = page.locator(".bkd-sentence").inner_text()
    turn(page, k_index=0)
    assert page.locator(".bkd-sentence").inner_text() == before
