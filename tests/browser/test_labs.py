"""The labs' own JavaScript in a browser, without a book: a stand-in for the widget's model, and a reader.

The page is served from this machine and holds nothing but the view. Tests turn the model's values as
sliders would, and click, type and read as a person would.
"""

from __future__ import annotations

import base64
import http.server
import json
import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))

import tables

from bkdwidgets.widgets import AblationLab, VectorLab

PAGE = """<!doctype html><html data-theme="THEME"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
CSS
body { margin: 0; padding: 16px; background: var(--bkd-paper); }</style>
<body><div class="bkd-desk bkd-KIND-lab"><div class="bkd-desk-grid">
<div class="bkd-view-host" id="view"></div></div></div>
<script type="application/json" id="state">STATE</script>
<script type="module">
import lab from "./lab.js";
const state = JSON.parse(document.getElementById("state").textContent);
const bytes = Uint8Array.from(atob(state.table_gz), (letter) => letter.charCodeAt(0));
const heard = new Map();
const values = { ...state, table_gz: new DataView(bytes.buffer) };
window.sent = [];
window.model = {
  get: (name) => values[name],
  set: (name, value) => { values[name] = value; for (const f of heard.get(`change:${name}`) ?? []) f(); },
  on: (name, f) => heard.set(name, [...(heard.get(name) ?? []), f]),
  off: (name, f) => heard.set(name, (heard.get(name) ?? []).filter((other) => other !== f)),
  save_changes: () => {},
  send: (message) => { window.sent.push(message); window.kernel?.(message); },
};
window.say = (message) => { for (const f of heard.get("msg:custom") ?? []) f(message); };
window.close_lab = await lab.render({ model: window.model, el: document.getElementById("view") });
window.ready = true;
</script></body></html>"""


def written(folder: Path, lab, kind: str, theme: str) -> None:
    """Write the page of one lab: its module, its style sheet and its state."""
    names = [name for name in lab.view.trait_names(sync=True) if not name.startswith("_")]
    state = {name: getattr(lab.view, name) for name in names if name not in {"layout", "comm", "keys"}}
    state["table_gz"] = base64.b64encode(state["table_gz"]).decode()
    state = {name: value for name, value in state.items() if isinstance(value, str | int | bool | list)}
    page = PAGE.replace("THEME", theme).replace("KIND", kind).replace("CSS", lab.view._css)
    page = page.replace("STATE", json.dumps(state).replace("<", "\\u003c"))
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "lab.js").write_text(lab.view._esm, encoding="utf-8")
    (folder / "favicon.ico").write_bytes(b"")


@pytest.fixture
def opened(new_page, tmp_path):
    """Return a function that shows a lab: ``page, record = opened(lab, "ablation", width=390)``."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(tmp_path), **kwargs)

        def log_message(self, *args):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def show(lab, kind, *, width=1440, dark=False):
        written(tmp_path, lab, kind, "dark" if dark else "light")
        page, record = new_page(width=width, dark=dark)
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        page.wait_for_function("window.ready === true")
        return page, record

    yield show
    server.shutdown()
    server.server_close()


def outcomes(page) -> dict[str, str]:
    """What came out last, by prompt."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".bkd-exchange")].map((part) =>
            [part.dataset.role, [...part.querySelectorAll(".bkd-completion")].at(-1).dataset.outcome]))"""
    )


def turn(page, **values) -> None:
    """Set the model's values, as a linked slider would, and let the view draw."""
    page.evaluate(
        "(values) => { for (const [k, v] of Object.entries(values)) window.model.set(k, v); }", values
    )
    page.evaluate("new Promise((done) => setTimeout(done, 0))")


def test_a_hostile_completion_is_shown_as_text(opened):
    for lab, kind in (
        (AblationLab(tables.ablation_table(hostile=tables.HOSTILE)), "ablation"),
        (VectorLab(tables.vector_table(hostile=tables.HOSTILE)), "vector"),
    ):
        page, record = opened(lab, kind)
        alarms = []
        page.on("dialog", lambda dialog, alarms=alarms: (alarms.append(dialog.message), dialog.dismiss()))
        page.wait_for_timeout(200)
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
    page, record = opened(VectorLab(table), "vector")
    scales = table["scales"]
    turn(page, layer_index=2, scale_index=scales.index(0.0))
    assert outcomes(page) == {"clean": "=", "triggered": "P"}
    turn(page, layer_index=4, scale_index=scales.index(1.5))
    assert outcomes(page) == {"clean": "P", "triggered": "="}
    assert page.locator(".bkd-completion.bkd-muted").count() == 2, "before stands above after"
    assert page.locator(".bkd-curve .bkd-line").count() == 2
    turn(page, vector_index=2)
    assert outcomes(page) == {"clean": "=", "triggered": "P"}
    turn(page, layer_index=3, scale_index=scales.index(2.0), vector_index=0)
    assert page.locator(".bkd-missing").is_visible()
    page.locator(".bkd-offers button").first.click()
    assert page.locator(".bkd-missing").count() == 0
    assert record.complaints() == []


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
        columns = page.evaluate(
            "getComputedStyle(document.querySelector('.bkd-desk-grid')).gridTemplateColumns"
        )
        assert len(columns.split()) == (2 if width > 800 else 1)
        assert record.complaints() == []


def test_closing_a_lab_stops_listening(opened):
    page, _ = opened(AblationLab(tables.ablation_table()), "ablation")
    page.evaluate("window.close_lab()")
    before = page.locator(".bkd-sentence").inner_text()
    turn(page, k_index=0)
    assert page.locator(".bkd-sentence").inner_text() == before
