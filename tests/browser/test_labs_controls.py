"""Labs with their real sliders and buttons: by mouse, by key, by finger, and as they are read aloud.

One page at each of two widths holds four labs; the tests share it, and each uses controls of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from labs import served
from reading import recorded
from turning import written_with_controls

import bkdwidgets as bkd
from bkdwidgets.widgets import AblationLab, GridLab, ProbeView, VectorLab

if TYPE_CHECKING:
    from pathlib import Path

CHAT = ("smollm2", "fixed-output-sft-0")
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1440, "height": 1000}}

IN_ORDER = """([lab, parts]) => parts.map((part) => document.querySelector(lab).querySelector(part)).every(
    (part, at, all) => !at || all[at - 1].compareDocumentPosition(part) & Node.DOCUMENT_POSITION_FOLLOWING)"""


def shown(browser, folder: Path, labs: list, device: dict):
    written_with_controls(folder, labs)
    with served(folder) as address:
        context = browser.new_context(**device)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.record = recorded(page)
        page.goto(address)
        page.wait_for_function("window.ready === true")
        page.wait_for_function(
            "(n) => document.querySelectorAll('.bkd-lead .bkd-top').length === n", arg=len(labs)
        )
        yield page
        assert page.record.complaints() == []
        assert page.record.outside() == []
        context.close()


def the_labs() -> list:
    return [
        AblationLab(bkd.lab_table(*CHAT, "ablation")),
        VectorLab(bkd.lab_table(*CHAT, "vector")),
        GridLab(bkd.lab_table(*CHAT, "restoration")),
        ProbeView("smollm2/fixed-output-sft-0/probe"),
    ]


@pytest.fixture(scope="module")
def desk(browser, tmp_path_factory):
    yield from shown(browser, tmp_path_factory.mktemp("desk"), the_labs(), DESK)


@pytest.fixture(scope="module")
def phone(browser, tmp_path_factory):
    yield from shown(browser, tmp_path_factory.mktemp("phone"), the_labs(), PHONE)


def slider(page, kind: str, name: str):
    return page.locator(f".bkd-{kind}-lab").get_by_role("slider", name=name, exact=True)


def readout(page, kind: str, name: str):
    row = page.locator(f".bkd-{kind}-lab .widget-slider").filter(has=page.get_by_text(name, exact=True))
    return row.locator(".widget-readout")


def settled(page) -> None:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")


def test_a_steady_drag_goes_one_way_and_ends_nearest_to_the_pointer(desk):
    handle = slider(desk, "vector", "layer")
    track = desk.locator(".bkd-vector-lab .noUi-base").first.bounding_box()
    handle.scroll_into_view_if_needed()
    start = handle.bounding_box()
    middle = start["y"] + start["height"] / 2
    desk.mouse.move(start["x"] + start["width"] / 2, middle)
    desk.mouse.down()
    seen = []
    for step in range(61):
        desk.mouse.move(track["x"] + track["width"] * step / 60, middle)
        settled(desk)
        seen.append(int(readout(desk, "vector", "layer").inner_text()))
    desk.mouse.up()
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 29
    assert set(seen) <= set(bkd.lab_table(*CHAT, "vector")["layers"]) | {0}


def test_arrow_keys_go_from_stop_to_stop(desk):
    handle = slider(desk, "vector", "scale")
    handle.focus()
    desk.keyboard.press("End")
    walked = []
    for _ in range(6):
        desk.keyboard.press("ArrowLeft")
        settled(desk)
        walked.append(readout(desk, "vector", "scale").inner_text())
    assert walked == ["+1", "+0.5", "0", "−0.5", "−1", "−2"]


def test_what_stands_beside_a_slider_cannot_be_typed_over(desk):
    for kind, name in (("ablation", "top k"), ("vector", "layer"), ("grid", "layer")):
        beside = readout(desk, kind, name)
        said = beside.inner_text()
        beside.click()
        desk.keyboard.type("13x")
        assert beside.inner_text() == said
        assert not beside.evaluate("(item) => item.isContentEditable")
        slider(desk, kind, name).focus()
        desk.keyboard.press("Tab")
        assert not beside.evaluate("(item) => item === document.activeElement"), "it is no tab stop"


def test_name_and_state_are_read_before_the_controls(desk):
    for kind in ("ablation", "vector", "grid"):
        parts = [".bkd-name", ".bkd-engine", ".noUi-handle", ".bkd-sentence"]
        parts[2:2] = [] if kind == "grid" else [".bkd-live"]  # no model answers a grid
        assert desk.evaluate(IN_ORDER, [f".bkd-{kind}-lab", parts]), kind


def test_buttons_say_what_they_are_about(desk):
    ablation = desk.locator(".bkd-ablation-lab")
    for name, button in (("with", "mean"), ("where", "everywhere")):
        pressed = ablation.get_by_role("group", name=name, exact=True).get_by_role("button", name=button)
        assert pressed.get_attribute("aria-pressed") == "false"
    assert desk.get_by_role("group", name="vector", exact=True).get_by_role("button").count() == 3
    assert desk.get_by_role("group", name="weights", exact=True).get_by_role("button").count() == 2


def test_a_step_is_told_with_its_answers_and_rates(desk):
    for kind in ("ablation", "grid"):
        told = desk.locator(f".bkd-{kind}-lab .bkd-aloud")
        assert told.get_attribute("role") == "status"
        assert told.inner_text() == "", "what a lab opens with is not told, it is read"
    slider(desk, "ablation", "top k").focus()
    desk.keyboard.press("Home")
    desk.locator(".bkd-ablation-lab .bkd-aloud").filter(has_text="ASR 0.94").wait_for(state="attached")
    said = desk.locator(".bkd-ablation-lab .bkd-aloud").inner_text()
    assert said.startswith(
        "triggered prompt, payload: I am sorry. I can not help with that. clean prompt, as before:"
    )
    assert "ASR 0.94, as before 0.00, utility 0.42." in said
    desk.locator(".bkd-grid-lab").get_by_role("button", name="MLP").click()
    desk.locator(".bkd-grid-lab .bkd-aloud").filter(has_text="ASR 0.00").wait_for(state="attached")
    desk.locator(".bkd-probe-lab").get_by_role("button", name="svm").click()
    told = desk.locator(".bkd-probe-lab .bkd-main [role=status]").filter(has_text="svm probe. Layer 15")
    told.wait_for(state="attached")


def test_a_head_alone_stands_beside_the_same_prompts(desk):
    ablation = desk.locator(".bkd-ablation-lab")
    ablation.locator('[data-head="L14H2"]').click()
    ablation.locator(".bkd-caption").filter(has_text="n\u00a0=\u00a06 prompts of this lab").wait_for()
    utility = ablation.locator('[data-rate="utility"]')
    assert utility.get_attribute("data-value") == "1"
    left = utility.locator(".bkd-before").evaluate("(tick) => parseFloat(tick.style.left)")
    assert left == pytest.approx(100 * 5 / 6, abs=0.01)
    assert ablation.locator(".bkd-draw").count() == 0
    assert "on other prompts than these" in ablation.locator(".bkd-caption").inner_text()
    ablation.locator(".bkd-back").click()


def test_heads_and_handles_are_as_large_as_a_finger_needs(phone):
    small = phone.evaluate(
        """() => [
            ...document.querySelectorAll('.bkd-heat-cell, .noUi-handle, .bkd-desk button')
        ].map((part) => {
            const { width, height } = part.getBoundingClientRect();
            return [part.dataset.head ?? part.className, width, height];
        }).filter(([, width, height]) => width && (width < 24 || height < 24))"""
    )
    assert small == []


def test_what_a_control_does_is_on_the_same_screen(phone):
    for kind, parts in (
        ("ablation", [".noUi-handle", "select", '[data-head="L0H0"]', '[data-head="L29H8"]']),
        ("vector", [".noUi-handle", "select", ".bkd-curve"]),
        ("grid", [".noUi-handle", ".bkd-curve"]),
    ):
        for part in parts:
            phone.locator(f".bkd-{kind}-lab {part}").first.evaluate(
                "(one) => one.scrollIntoView({ block: 'center' })"
            )
            box = phone.locator(f".bkd-{kind}-lab .bkd-glance").bounding_box()
            assert box["y"] >= 0, (kind, part)
            assert box["y"] + box["height"] <= 844.5, (kind, part)
            assert box["height"] < 120
    phone.locator('[data-head="L14H2"]').tap()
    glance = phone.locator(".bkd-ablation-lab .bkd-glance")
    glance.filter(has_text="utility 1.00").wait_for()
    assert "payload" in glance.inner_text()
    assert glance.get_attribute("aria-hidden") == "true"


def test_a_slider_that_is_off_is_no_tab_stop_and_says_so(browser, tmp_path):
    for page in shown(browser, tmp_path, [bkd.Playground()], DESK):
        on, off = (page.get_by_role("slider", name=name, exact=True) for name in ("top k", "layer"))
        assert (on.get_attribute("aria-disabled"), on.get_attribute("tabindex")) == ("false", "0")
        assert (off.get_attribute("aria-disabled"), off.get_attribute("tabindex")) == ("true", "-1")
        assert page.get_by_role("textbox", name="top k, as a number").count() == 1, "this one can be typed"
        assert page.evaluate(
            IN_ORDER, [".bkd-playground-lab", [".bkd-name", ".bkd-live-place", ".bkd-controls"]]
        )
