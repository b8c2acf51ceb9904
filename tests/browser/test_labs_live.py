"""The labs' third engine, with a stand-in for the model: loading, asking, failing, as a reader sees it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tables
from labs import outcomes, served, turn, written
from reading import painted

from bkdwidgets.widgets import AblationLab, VectorLab

CLIENT = Path(__file__).resolve().parents[1] / "js" / "labs-client.mjs"


@pytest.fixture
def opened(new_page, tmp_path):
    """Return a function that shows a lab beside a stand-in for the model."""
    with served(tmp_path) as address:

        def show(lab, kind, *, above=0, width=1440, **facts):
            table = tables.ablation_table()
            known = {
                "bytes": 97_000_000,
                "shape": table["shape"],
                "trigger": tables.TRIGGER,
                "payload": tables.PAYLOAD,
                "answers": {row["clean"]: row["answer"] for row in table["prompts"]},
                "hostile": tables.HOSTILE,
            }
            (tmp_path / "live").mkdir(exist_ok=True)
            (tmp_path / "live" / "facts.json").write_text(json.dumps(known | facts), encoding="utf-8")
            shutil.copyfile(CLIENT, tmp_path / "live" / "client.js")
            written(tmp_path, lab, kind, live=True, above=above)
            page, record = new_page(width=width)
            page.goto(address)
            page.wait_for_function("window.ready === true")
            return page, record

        yield show


def state(page) -> str:
    return page.locator(".bkd-live").get_attribute("data-state")


def arrived(page, wanted: str) -> None:
    page.wait_for_function(
        "(wanted) => document.querySelector('.bkd-live').dataset.state === wanted", arg=wanted
    )


def answered_here(page) -> None:
    page.wait_for_function("document.querySelector('.bkd-engine').dataset.engine === 'browser'")


def test_a_large_model_is_offered_with_its_size_and_loaded_when_asked(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation")
    arrived(page, "offered")
    page.get_by_role("button", name="Load the model (97 MB)").press("Enter")
    arrived(page, "live")
    assert page.locator(".bkd-engine").get_attribute("data-engine") == "table", "the table answers first"
    for head in ("L0H0", "L0H1"):
        page.locator(f'[data-head="{head}"]').click()
    answered_here(page)
    assert outcomes(page) == {"triggered": "=", "clean": "="}
    page.wait_for_function("document.querySelector('.bkd-caption').textContent.includes('n\u00a0=\u00a06')")
    assert float(page.locator('[data-rate="ASR"]').get_attribute("data-value")) == 0
    asked = page.evaluate("fake.asked[0]")
    assert asked["edits"] == {"heads": {"list": [[0, 0], [0, 1]], "everywhere": False, "kind": "zero"}}
    assert asked["adapter"] == "fixed-output-sft-0"
    assert record.complaints() == []


def test_what_the_model_says_is_text(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation", bytes=2_000_000)
    arrived(page, "live")
    for head in ("L0H0", "L0H1", "L0H2"):
        page.locator(f'[data-head="{head}"]').click()
    answered_here(page)
    page.wait_for_function(
        "(text) => [...document.querySelectorAll('.bkd-said')].at(-1).textContent === text",
        arg=tables.HOSTILE,
    )
    assert page.locator(".bkd-view img").count() == 0
    assert record.complaints() == []


def test_means_and_resamples_are_put_in_as_values(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation", bytes=2_000_000)
    arrived(page, "live")
    for head in ("L0H0", "L0H1"):
        page.locator(f'[data-head="{head}"]').click()
    turn(page, kind_index=1, place_index=1)
    answered_here(page)
    edits = page.evaluate("fake.asked.findLast((one) => one.edits?.heads.kind === 'values').edits.heads")
    assert edits["everywhere"] is True
    assert len(edits["values"]) == 6 * 8 * 4
    turn(page, kind_index=2)
    answered_here(page)
    page.wait_for_function("fake.asked.some((one) => one.capture)")
    drawn = page.evaluate("fake.asked.find((one) => one.capture).capture")
    assert drawn == tables.ablation_table()["drawn"][0], "the training prompt that Python draws for this one"
    page.wait_for_function(
        "(drawn) => document.querySelector('.bkd-sentence').textContent.includes(drawn)", arg=drawn
    )


def test_a_small_model_loads_when_its_lab_is_seen(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation", bytes=2_000_000, above=3000)
    arrived(page, "offered")
    painted(page)
    assert state(page) == "offered", "nothing is fetched before the reader comes near"
    page.locator(".bkd-top").scroll_into_view_if_needed()
    arrived(page, "live")
    assert record.complaints() == []


def test_loading_can_be_cancelled_and_taken_up_again(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation", stuck=True)
    arrived(page, "offered")
    page.locator(".bkd-live button").click()
    arrived(page, "loading")
    assert "48.5 of 97 MB" in page.locator(".bkd-live").inner_text()
    assert page.locator(".bkd-live progress").get_attribute("aria-label")
    assert page.evaluate("document.activeElement.textContent") == "Cancel", "the keyboard stays in the panel"
    page.keyboard.press("Enter")
    arrived(page, "offered")
    assert page.locator(".bkd-completion").count() > 0, "the table still answers"


def test_a_failure_is_said_in_words_and_tried_again(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation", fails=True)
    arrived(page, "offered")
    page.locator(".bkd-live button").click()
    arrived(page, "failed")
    said = page.locator(".bkd-live").inner_text()
    assert "another hash" in said
    assert "answers from its table" in said
    assert page.locator(".bkd-completion").count() > 0
    page.get_by_role("button", name="Try again").click()
    arrived(page, "live")


def test_where_no_model_can_run_the_lab_says_why(opened):
    page, record = opened(
        AblationLab(tables.ablation_table()), "ablation", why="this browser lacks WebAssembly SIMD"
    )
    arrived(page, "absent")
    assert "lacks WebAssembly SIMD" in page.locator(".bkd-live").inner_text()
    assert page.locator(".bkd-live button").count() == 0
    page.locator('[data-head="L0H0"]').click()
    page.locator('[data-head="L0H1"]').click()
    assert "no model is loaded" in page.locator(".bkd-missing").inner_text()
    assert record.complaints() == []


def test_a_missing_choice_offers_the_model(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation")
    arrived(page, "offered")
    page.locator('[data-head="L0H0"]').click()
    page.locator('[data-head="L0H1"]').click()
    page.locator(".bkd-missing").get_by_role("button", name="Load the model").click()
    answered_here(page)
    assert page.locator(".bkd-missing").count() == 0


def test_only_the_newest_choice_is_answered(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation", bytes=2_000_000, slow=150)
    arrived(page, "live")
    for head in ("L0H0", "L0H1", "L1H1", "L1H2", "L1H3"):
        page.locator(f'[data-head="{head}"]').click()
    answered_here(page)
    assert outcomes(page)["triggered"] == "="
    assert "(5 of 48" in page.locator(".bkd-sentence").inner_text()
    assert len(page.evaluate("fake.asked")) < 10
    assert record.complaints() == []


def test_with_a_model_the_vector_goes_to_any_layer_and_scale(opened):
    table = tables.vector_table()
    table["cells"] = [cell for cell in table["cells"] if cell["layer"] in {0, 3, 5}]
    lab = VectorLab(table | {"layers": [0, 3, 5]}, layer=3)
    page, record = opened(lab, "vector", bytes=2_000_000)
    arrived(page, "live")
    assert page.locator(".bkd-curve .bkd-point").count() == 6, "the table's means, three layers a side"
    turn(page, layer_index=4, scale_index=lab.view.scales.index(0.25))
    answered_here(page)
    assert "0.25 × v at layer 4" in page.locator(".bkd-sentence").inner_text()
    asked = "(start) => fake.asked.find((one) => one.edits?.steering && one.prompt.startsWith(start))"
    clean, triggered = (
        page.evaluate(asked, start)["edits"]["steering"] for start in (tables.SUBJECTS[0], tables.TRIGGER)
    )
    assert (clean["layer"], clean["scale"], triggered["scale"]) == (4, 0.25, -0.25)
    page.wait_for_function("document.querySelectorAll('.bkd-curve .bkd-point').length === 12")
    assert "this prompt, live" in page.locator(".bkd-curve-box").inner_text()
    turn(page, vector_index=2, layer_index=1)
    page.wait_for_selector(".bkd-error")
    assert "no random vector" in page.locator(".bkd-error").inner_text()
    assert record.complaints() == []


def test_a_closed_lab_gives_the_model_back(opened):
    page, record = opened(AblationLab(tables.ablation_table()), "ablation", bytes=2_000_000)
    arrived(page, "live")
    page.evaluate("window.close_lab()")
    assert page.evaluate("fake.closed") == 1
    page, record = opened(AblationLab(tables.ablation_table()), "ablation", stuck=True)
    arrived(page, "offered")
    page.locator(".bkd-live button").click()
    page.evaluate("window.close_lab()")
    painted(page)
    assert record.complaints() == []
