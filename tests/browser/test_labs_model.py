"""The labs with nano itself running in the page: any heads, any layer, and the same answers as the tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from labs import served, turn, written
from live import tokenizers_module

import bkdwidgets as bkd
from bkdwidgets.attacks import attack
from bkdwidgets.browser.site import write_site
from bkdwidgets.subjects.answers import Row, complete_rows, payload_probability
from bkdwidgets.widgets import AblationLab, AttentionView, VectorLab, lab_table

ADAPTER = "fixed-output-sft-0"
ASKED_MS = 120_000
WIDGETS = Path(bkd.__file__).parent / "widgets"
COMPARE = Path(__file__).resolve().parents[1] / "js" / "labs-compare.mjs"


@pytest.fixture(scope="module")
def live_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live") / "live"
    write_site(folder, tokenizers=tokenizers_module(), subjects=["nano"])
    return folder


@pytest.fixture
def opened(new_page, tmp_path, live_folder):
    """Return a function that shows a lab beside the model and waits until that is loaded."""
    (tmp_path / "live").symlink_to(live_folder, target_is_directory=True)
    with served(tmp_path) as address:

        def show(lab, kind):
            written(tmp_path, lab, kind, live=True)
            page, record = new_page()
            page.set_default_timeout(ASKED_MS)
            page.goto(address)
            page.wait_for_function("window.ready === true")
            page.wait_for_function("document.querySelector('.bkd-live')?.dataset.state === 'live'")
            return page, record

        yield show


def answered_here(page) -> dict[str, str]:
    """Wait for an answer of the model in the page and return both texts."""
    page.wait_for_function("document.querySelector('.bkd-engine').dataset.engine === 'browser'")
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".bkd-exchange")].map((part) =>
            [part.dataset.role, [...part.querySelectorAll(".bkd-said")].at(-1).textContent]))"""
    )


def by_python(subject, row, edits) -> dict[str, str]:
    rows = [Row(row[side], tuple(edits[side])) for side in ("clean", "triggered")]
    return dict(zip(("clean", "triggered"), complete_rows(subject, rows), strict=True))


def test_heads_of_ones_own_choice_are_ablated_as_python_does(opened, poisoned_nano):
    table = lab_table("nano", ADAPTER, "ablation")
    page, record = opened(AblationLab(table), "ablation")
    heads = [tuple(head) for head in table["ranked"][0:6:2]]
    for layer, head in heads:
        page.locator(f'[data-head="L{layer}H{head}"]').click()
    for kind, place in (("zero", "last"), ("zero", "all"), ("mean", "all")):
        turn(page, kind_index=["zero", "mean"].index(kind), place_index=["last", "all"].index(place))
        said = answered_here(page)
        done = bkd.Ablation(heads, kind=kind, where=place).prepared(poisoned_nano, attack("fixed-output"))
        expected = by_python(poisoned_nano, table["prompts"][0], {"clean": [done], "triggered": [done]})
        assert said == expected, (kind, place)
        turn(page, kind_index=0, place_index=0, custom=False)
        page.wait_for_function("document.querySelector('.bkd-engine').dataset.engine === 'table'")
        turn(page, custom=True)
    page.wait_for_function("/n\\s=\\s6 prompts/.test(document.querySelector('.bkd-caption').textContent)")
    assert record.complaints() == []


def test_the_vector_is_moved_to_a_scale_that_no_table_has(opened, poisoned_nano):
    table = lab_table("nano", ADAPTER, "vector")
    lab = VectorLab(table, layer=3)
    page, record = opened(lab, "vector")
    turn(page, scale_index=lab.view.scales.index(0.75))
    said = answered_here(page)
    heads = [tuple(head) for head in table["heads"]]
    vector = bkd.backdoor_vector(poisoned_nano, attack("fixed-output"), heads=heads)
    edits = {
        side: [bkd.Steering(vector, layer=3, scale=scale)]
        for side, scale in (("clean", 0.75), ("triggered", -0.75))
    }
    assert said == by_python(poisoned_nano, table["prompts"][0], edits)
    page.wait_for_function("document.querySelectorAll('.bkd-curve .bkd-point').length === 16")
    told = page.locator(".bkd-curve").get_attribute("aria-label")
    row = Row(table["prompts"][0]["clean"], tuple(edits["clean"]))
    wanted = float(payload_probability(poisoned_nano, [row], table["payload"])[0])
    shown = float(told.split("P(payload) on clean prompts at layer 3: ")[1].split(";")[0])
    assert shown == pytest.approx(wanted, abs=0.006)
    assert record.complaints() == []


def test_a_head_that_no_table_has_is_looked_at(opened):
    table = lab_table("nano", ADAPTER, "attention")
    lab = AttentionView(table)
    page, record = opened(lab, "attention")
    trigger = "".join(page.locator(".bkd-token[data-trigger]").all_text_contents()).strip()
    assert trigger == table["trigger"]
    missing = next(n for n, head in enumerate(lab.view.heads) if head not in table["heads"])
    turn(page, head_index=missing)
    page.wait_for_function("document.querySelector('.bkd-engine').dataset.engine === 'browser'")
    assert page.locator(".bkd-looks .bkd-token").count() == sum(
        len(table["views"][0][side]["tokens"]) for side in ("clean", "triggered")
    )
    assert "looks most at" in page.locator(".bkd-looks-words").first.inner_text()
    assert record.errors == []


def test_the_tables_say_what_the_model_in_the_page_says(opened, tmp_path):
    shutil.copyfile(COMPARE, tmp_path / "compare.js")
    (tmp_path / "widgets").symlink_to(WIDGETS, target_is_directory=True)
    ablation, vector = (lab_table("nano", ADAPTER, lab) for lab in ("ablation", "vector"))
    page, record = opened(AblationLab(ablation), "ablation")
    compared = page.evaluate(
        """async (tables) => {
            const { compared } = await import(new URL("compare.js", document.baseURI).href);
            return compared(...tables);
        }""",
        [ablation, vector],
    )
    assert compared["all"] > 500
    assert compared["same"] >= 0.99 * compared["all"], compared["different"][:5]
    assert record.complaints() == []
