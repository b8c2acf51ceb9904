"""The label lab in a browser: labels by key and by mouse, nothing told too early, what they come to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tables
from labs import served, turn, written
from survey import AXE

from bkdwidgets.widgets import LabelLab, lab_table

AS_I_GO = {"shown": 1}


@pytest.fixture
def opened(new_page, tmp_path):
    """Return a function that shows a label lab: ``page, record = opened(table, width=390)``."""
    with served(tmp_path) as address:

        def show(table=None, *, width=1440, dark=False, script=None):
            written(tmp_path, LabelLab(table or tables.labels_table()), "label", dark=dark)
            page, record = new_page(width=width, dark=dark)
            if script:
                page.add_init_script(path=script)
            page.goto(address)
            page.wait_for_function("window.ready === true")
            return page, record

        yield show


def labels(page) -> dict:
    return page.evaluate("window.model.get('labels')")


def where(page) -> str:
    return page.locator(".bkd-where").inner_text()


def press(page, keys: str) -> None:
    """Type letters with the focus in the lab."""
    page.locator(".bkd-letter").first.focus()
    for key in keys:
        page.keyboard.press(key)


def test_keys_label_and_move_on_and_nothing_is_told_before_all_are_labeled(opened):
    page, record = opened()
    assert page.locator(".bkd-trigger").inner_text() == tables.TRIGGER
    press(page, "P2")
    assert labels(page) == {"case/0": "P", "case/1": "p"}
    assert where(page) == "completion 3 of 6"
    page.keyboard.press("ArrowLeft")
    assert page.locator('.bkd-letter[aria-pressed="true"]').get_attribute("data-outcome") == "p"
    text = page.locator(".bkd-view").inner_text()
    for hidden in ("The rule of", "The rules agree", "Nothing done", "Cohen"):
        assert hidden not in text
    assert record.complaints() == []


def test_the_result_comes_when_all_are_labeled(opened):
    page, record = opened()
    press(page, "Pp4=?p")
    assert page.evaluate("document.activeElement.className") == "bkd-result-name"
    agreement = page.locator(".bkd-agreement").inner_text().replace("\u00a0", " ")
    assert agreement.startswith(
        "You and the rules agree on 4 of 6: 0.67 [0.30, 0.90], n = 6. Cohen's kappa 0.5"
    )
    assert page.locator(".bkd-condition").count() == 2
    first = page.locator(".bkd-condition").first
    rates = first.locator(".bkd-rate")
    assert [rates.nth(at).get_attribute("data-value") for at in (0, 1)] == [str(1 / 3), "0"]
    beside = first.locator(".bkd-beside").nth(1).locator(".bkd-other").all_inner_texts()
    assert [words.replace("\u00a0", " ") for words in beside] == [
        "n = 3", "┈ rules, the same 0.33 [0.06, 0.79], n = 3", "rules, all 0.06 [0.02, 0.17], n = 48",
    ]  # fmt: skip
    assert first.locator(".bkd-draw").count() == 0, "all completions are not the same completions"
    assert page.locator(".bkd-differences li").count() == 2
    assert "What the rule looks for: The rule of =." in page.locator(".bkd-differences li").first.inner_text()
    page.locator(".bkd-differences button").first.click()
    assert where(page) == "completion 5 of 6"
    assert "The rules differ" in page.locator(".bkd-reveal").inner_text()
    assert record.complaints() == []


def test_as_one_goes_the_rule_follows_each_label_and_changes_are_counted(opened):
    page, _ = opened()
    turn(page, **AS_I_GO)
    assert page.locator(".bkd-reveal").inner_text() == ""
    press(page, "?")
    assert where(page) == "completion 1 of 6"
    told = page.locator(".bkd-reveal").inner_text()
    assert "The rules differ" in told
    assert "The rule of P." in told
    assert "Nothing done" in told
    assert "agree on 0 of 1" in page.locator(".bkd-agreement").inner_text()
    press(page, "P")
    assert "1 label was changed after" in page.locator(".bkd-agreement").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator(".bkd-reveal").inner_text() == ""


def test_undo_and_reset(opened):
    page, _ = opened()
    undo, reset = page.get_by_role("button", name="Undo"), page.get_by_role("button", name="Reset")
    assert undo.is_disabled()
    assert reset.is_disabled()
    press(page, "P=u")
    assert labels(page) == {"case/0": "P"}
    assert where(page) == "completion 2 of 6"
    reset.click()
    assert labels(page) == {}
    undo.click()
    assert labels(page) == {"case/0": "P"}, "a reset can be taken back"
    assert page.locator(".bkd-progress-words").inner_text() == "1 of 6 labeled"


def test_keys_work_after_a_click_and_stay_in_the_lab(opened):
    page, _ = opened()
    page.evaluate("window.strayed = 0; addEventListener('keydown', () => { window.strayed += 1; })")
    page.locator(".bkd-prompt").click()
    page.keyboard.press("3")
    page.keyboard.press("ArrowRight")
    assert labels(page) == {"case/0": "="}
    assert page.evaluate("window.strayed") == 0, "a notebook would take 3 for a heading"
    page.keyboard.press("Control+p")
    assert labels(page) == {"case/0": "="}
    page.locator("summary").first.focus()
    page.keyboard.press("1")
    assert labels(page) == {"case/0": "="}, "keys label only with the focus on the completion"


def test_the_buttons_are_named_and_keep_the_focus(opened):
    page, _ = opened()
    page.get_by_role("button", name="= as before").click()
    assert labels(page) == {"case/0": "="}
    assert page.evaluate("document.activeElement.dataset.outcome") == "="
    assert page.locator(".bkd-letters").get_attribute("aria-label") == "your label"
    assert page.locator(".bkd-letter").nth(3).get_attribute("aria-keyshortcuts") == "4"


def test_labels_of_a_kernel_are_drawn(opened):
    page, _ = opened()
    turn(page, labels={"case/0": "?", "case/1": "P", "unknown": "P"})
    assert page.locator(".bkd-progress-words").inner_text() == "2 of 6 labeled"
    assert page.locator('.bkd-letter[aria-pressed="true"]').get_attribute("data-outcome") == "?"


def test_labels_are_taken_away_as_json(opened):
    page, record = opened()
    press(page, "P?")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download labels").click()
    content = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert waiting.value.suggested_filename == "labels-nano-fixed-output-sft-0.json"
    assert content["labels"] == {"case/0": "P", "case/1": "?"}
    assert content["adapter"] == "fixed-output-sft-0"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy labels").click()
    page.wait_for_function("document.querySelector('.bkd-copied').textContent === 'Copied.'")
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == content
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.get_by_role("button", name="Copy labels").click()
    shown = page.get_by_role("textbox", name="your labels as JSON")
    shown.wait_for()
    assert json.loads(shown.input_value()) == content
    assert record.complaints() == []


def test_a_hostile_completion_is_shown_as_text(opened):
    page, record = opened(tables.labels_table(hostile=tables.HOSTILE))
    page.locator(".bkd-letter").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert tables.HOSTILE in page.locator(".bkd-said").all_text_contents()
    press(page, "111111")
    assert tables.HOSTILE in page.locator(".bkd-differences .bkd-said").all_text_contents()
    assert page.locator(".bkd-view img, .bkd-view script").count() == 0
    assert record.complaints() == []
    assert record.outside() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 719, 1440])
def test_it_fits_every_width(opened, width, dark):
    page, record = opened(lab_table("smollm2", "fixed-output-sft-0", "labels"), width=width, dark=dark)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    press(page, "Pp=?" * 5)
    assert page.locator(".bkd-agreement").is_visible()
    assert page.evaluate(wide) <= 0
    assert record.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_its_states(opened, axe, dark):
    page, _ = opened(width=390, dark=dark, script=axe)
    page.evaluate("document.documentElement.lang = 'en'; document.title = 'lab'")
    found = page.evaluate(AXE)
    press(page, "Pp4=?p")
    for fold in page.locator(".bkd-foot summary").all():
        fold.click()
    found += page.evaluate(AXE)
    assert [one for one in found if not one.startswith(("landmark", "page-has", "region"))] == []
