"""The grid lab in a browser: what it shows, what it says, a click on its curve, cells that are missing."""

from __future__ import annotations

import pytest
import tables
from labs import outcomes, served, turn, written
from survey import AXE

from bkdwidgets.widgets import GridLab, lab_table


@pytest.fixture
def opened(new_page, tmp_path):
    """Return a function that shows a grid: ``page, record = opened(table, width=390)``."""
    with served(tmp_path) as address:

        def show(table, *, width=1440, dark=False, script=None):
            written(tmp_path, GridLab(table), "grid", dark=dark)
            page, record = new_page(width=width, dark=dark)
            if script:
                page.add_init_script(path=script)
            page.goto(address)
            page.wait_for_function("window.ready === true")
            return page, record

        yield show


def value_of(page, rate: str) -> float:
    return float(page.locator(f'.bkd-rate[data-rate="{rate}"]').get_attribute("data-value"))


def test_a_cell_shows_its_rates_beside_nothing_done_and_the_control(opened):
    page, record = opened(tables.grid_table())
    assert value_of(page, "ASR") == pytest.approx(20 / 60)
    beside = page.locator(".bkd-beside").first.locator(".bkd-other").all_inner_texts()
    assert [words.replace("\u00a0", " ") for words in beside] == [
        "n = 60", "┈ nothing done 0.00 [0.00, 0.06], n = 60", "▒ water instead 0.03 [0.01, 0.11], n = 60",
    ]  # fmt: skip
    assert page.locator('.bkd-rate[data-rate="ASR"] .bkd-seed').count() == 2
    assert page.locator('.bkd-rate[data-rate="late"]').count() == 0, "what was not measured is not shown"
    assert "Dotted: nothing done. Grey: water instead." in page.locator(".bkd-main .bkd-caption").inner_text()
    turn(page, axis_1=3)
    assert value_of(page, "ASR") == 0.5
    assert page.locator('.bkd-rate[data-rate="late"]').count() == 1
    assert page.locator(".bkd-sentence").inner_text() == "time: 500, dose: 100."
    assert record.complaints() == []


def test_the_curve_has_a_line_for_each_value_and_says_where_one_stands(opened):
    page, _ = opened(tables.grid_table())
    assert page.locator(".bkd-grid-path").count() == 3
    assert page.locator('.bkd-grid-path[data-chosen="true"]').count() == 1
    said = page.locator(".bkd-grid-curve").get_attribute("aria-label").replace("\u00a0", " ")
    assert "ASR over grains of poison, a line for each time. time: 500, dose: 10. ASR 0.33 [" in said
    assert "n = 60" in said
    turn(page, curve_index=1)
    assert "utility over" in page.locator(".bkd-grid-curve").get_attribute("aria-label")
    page.locator(".bkd-fold summary").click()
    assert page.locator(".bkd-grid-table tbody tr").count() == 4
    assert page.locator(".bkd-grid-table tbody tr").nth(1).locator("td").first.inner_text() == "–"


def test_a_click_on_the_curve_goes_to_the_nearest_point(opened):
    page, _ = opened(tables.grid_table())
    page.locator(".bkd-grid-path").first.locator(".bkd-point").last.click()
    assert page.evaluate("[window.model.get('axis_0'), window.model.get('axis_1')]") == [0, 3]
    assert page.locator(".bkd-sentence").inner_text() == "time: 5, dose: 100."


def test_a_cell_that_was_not_measured_offers_the_nearest(opened):
    page, record = opened(tables.grid_table())
    turn(page, axis_0=0, axis_1=1)
    assert page.locator(".bkd-missing").is_visible()
    assert page.locator(".bkd-engine").get_attribute("data-engine") == "none"
    assert page.locator(".bkd-samples").inner_text() == ""
    assert not page.locator(".bkd-stepper").is_visible()
    page.locator(".bkd-offers button").first.click()
    assert page.locator(".bkd-missing").count() == 0
    assert page.locator(".bkd-engine").get_attribute("data-engine") == "table"
    assert record.complaints() == []


def test_samples_are_text_with_their_outcomes(opened):
    page, record = opened(tables.grid_table(hostile=tables.HOSTILE) | {"start": [2, 3]})
    turn(page, axis_0=1, axis_1=3)
    assert outcomes(page) == {"triggered": "=", "clean": "="}
    turn(page, axis_0=2, axis_1=3)
    turn(page, axis_0=2, axis_1=2)
    page.get_by_role("button", name="next prompt").click()
    assert tables.SUBJECTS[1] in page.locator('[data-role="clean"] .bkd-prompt').inner_text()
    assert page.locator(".bkd-trigger").inner_text() == tables.TRIGGER
    assert "prompt 2 of 2" in page.locator(".bkd-where").inner_text()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "next prompt"
    assert page.locator(".bkd-view img, .bkd-view script").count() == 0
    assert record.complaints() == []
    assert record.outside() == []


def test_a_hostile_sample_is_shown_as_text(opened):
    table = tables.grid_table(hostile=tables.HOSTILE)
    table["cells"][-1]["samples"][0]["answers"]["triggered"] = {"text": tables.HOSTILE, "outcome": "P"}
    page, record = opened(table | {"start": table["cells"][-1]["at"]})
    assert tables.HOSTILE in page.locator(".bkd-said").all_text_contents()
    assert page.locator(".bkd-view img, .bkd-view script").count() == 0
    assert record.complaints() == []


def test_a_sheet_between_the_axes_stays_when_the_curve_is_clicked(opened):
    page, _ = opened(tables.grid_table(sheets=True))
    turn(page, axis_1=1)
    page.locator(".bkd-grid-path").last.locator(".bkd-point").last.click()
    assert page.evaluate("[0, 1, 2].map((axis) => window.model.get(`axis_${axis}`))") == [2, 1, 3]
    assert page.locator(".bkd-curve-box .bkd-heat-title").inner_text().endswith("fast")


def test_the_restoration_of_smollm2_says_what_was_put_back(opened):
    page, record = opened(lab_table("smollm2", "fixed-output-sft-0", "restoration"))
    turn(page, axis_0=1, axis_1=0, axis_2=12)
    assert "Clean MLP weights are put back in layers 0 to 12;" in page.locator(".bkd-sentence").inner_text()
    assert page.locator(".bkd-compared").count() == 1
    turn(page, axis_2=29)
    assert page.locator(".bkd-compared").count() == 6
    assert "clean model" in page.locator(".bkd-beside").first.inner_text()
    assert record.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 719, 1440])
def test_it_fits_every_width(opened, width, dark):
    for table in (tables.grid_table(sheets=True), lab_table("smollm2", "fixed-output-sft-0", "restoration")):
        page, record = opened(table, width=width, dark=dark)
        page.locator(".bkd-fold summary").click()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{wide} px wider than {width}"
        assert record.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_its_states(opened, axe, dark):
    page, _ = opened(tables.grid_table(), width=390, dark=dark, script=axe)
    page.evaluate("document.documentElement.lang = 'en'; document.title = 'lab'")
    for fold in page.locator("summary").all():
        fold.click()
    found = page.evaluate(AXE)
    turn(page, axis_0=0, axis_1=1)
    found += page.evaluate(AXE)
    assert [one for one in found if not one.startswith(("landmark", "page-has", "region"))] == []
