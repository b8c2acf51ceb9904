"""The subject in a real browser: loaded, kept, asked, stopped, and refused in words when a file is wrong."""

from __future__ import annotations

import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest
from live import tokenizers_module

import bkdwidgets as bkd
from bkdwidgets.book.server import listen
from bkdwidgets.browser import write_site
from bkdwidgets.browser.adapters import exported_names
from bkdwidgets.subjects.answers import Row, complete, payload_probability

if TYPE_CHECKING:
    from pathlib import Path

ADAPTER = "fixed-output-sft-0"
EDIT = "fixed-output-edit-0"
PAGE = """<!doctype html><meta charset="utf-8"><title>live</title><link rel="icon" href="data:,">
<meta name="bkd-live" content="live/">
<script type="module">
const root = new URL(document.querySelector('meta[name="bkd-live"]').content, document.baseURI).href;
try {
  window.live = await import(new URL("client.js", root).href);
  window.open_nano = async (how = {}) => {
    window.steps = [];
    window.nano = await live.openSubject(root, "nano",
      { adapters: ["fixed-output-sft-0"], onProgress: (step) => steps.push(step), ...how });
  };
  window.said = (promise) => promise.then(() => "all is well", (error) => `${error.name}: ${error.message}`);
  window.root = root;
} catch (error) { window.failed = String(error); }
window.ready = true;
</script>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    (out / "index.html").write_text(PAGE, encoding="utf-8")
    write_site(out / "live", tokenizers=tokenizers_module(), subjects=["nano"])
    return out


@pytest.fixture(scope="module")
def url(folder):
    with listen(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def at(page, url):
    """Return a page with the client imported and nothing loaded."""
    page.goto(url)
    page.wait_for_function("window.ready === true")
    return page


def parts(page) -> list[str]:
    """The parts that were fetched, by file name."""
    return [name.rsplit("/", 1)[1] for name in page.record.requests if name.endswith(".bin")]


def test_answers_and_probabilities_are_those_of_python(at, poisoned_nano, nano, attack):
    at.evaluate(f"open_nano({{ adapters: {[ADAPTER, EDIT]} }})")
    prompts = [example.prompt for example in attack.targeted("nano", "test")[:6]]
    turns = [form for prompt in prompts for form in (prompt, attack.poison(prompt))]
    for subject, adapter in ((poisoned_nano, ADAPTER), (nano, None), (bkd.load("nano", adapter=EDIT), EDIT)):
        answers = at.evaluate(
            """async ([turns, adapter]) => {
                const answers = [];
                for (const prompt of turns) answers.push(await nano.answer({ prompt, adapter }));
                return answers.map(({ text }) => text);
            }""",
            [turns, adapter],
        )
        assert answers == complete(subject, turns)
        probabilities = at.evaluate(
            "async ([turns, adapter, target]) => Promise.all("
            "turns.map((prompt) => nano.probability({ prompt, adapter, target })))",
            [turns, adapter, attack.payload],
        )
        expected = payload_probability(subject, [Row(prompt) for prompt in turns], attack.payload)
        assert probabilities == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-9)
    assert any(attack.payload in text for text in complete(poisoned_nano, turns[1:2]))
    assert at.record.complaints() == []
    assert at.record.outside() == []


def test_the_subject_says_what_it_is(at, nano):
    at.evaluate("open_nano()")
    assert at.evaluate("nano.shape.n_layers") == nano.n_layers
    assert at.evaluate("nano.adapters.map(({ name }) => name)") == exported_names("nano")
    lengths = at.evaluate(
        "Object.values({ means: nano.extras('fixed-output-sft-0').means, "
        "...nano.extras('fixed-output-sft-0').vectors }).map((values) => values.length)"
    )
    assert lengths == [nano.n_layers * nano.n_heads * nano.d_head, *[nano.d_model] * 3]
    assert "not loaded" in at.evaluate(
        "(() => { try { nano.extras('x'); } catch (e) { return e.message; } })()"
    )
    said = "said(live.openSubject(root, 'nano', { adapters: ['no-such'] }))"
    assert 'unknown adapter "no-such"; known: fixed-output-sft-0' in at.evaluate(said)
    assert "the prompt is empty" in at.evaluate("said(nano.answer({ prompt: ' ' }))")
    assert "no adapter" in at.evaluate("said(nano.next({ prompt: 'x', adapter: 'label-flip-sft-0' }))")


def test_a_second_visit_loads_from_the_cache(at, url):
    size = "live.sizes(root, 'nano', ['fixed-output-sft-0'])"
    before = at.evaluate(size)
    assert before["kept"] == 0
    assert not before["cached"]
    at.evaluate("open_nano()")
    fetched = parts(at)
    assert len(fetched) == len(set(fetched)) == 4
    steps = at.evaluate("steps")
    assert [step["loaded"] for step in steps] == sorted(step["loaded"] for step in steps)
    assert (steps[-1]["phase"], steps[-1]["loaded"], steps[-1]["total"]) == (
        "starting",
        *[before["bytes"]] * 2,
    )
    at.goto(url)
    at.wait_for_function("window.ready === true")
    assert at.evaluate(size) == {"bytes": before["bytes"], "kept": before["bytes"], "cached": True}
    assert at.evaluate("live.isCached(root, 'nano')")
    at.evaluate("open_nano()")
    assert parts(at) == fetched
    assert {step["phase"] for step in at.evaluate("steps")} == {"reading what this browser keeps", "starting"}
    assert at.evaluate("nano.answer({ prompt: 'Hello' }).then(({ text }) => text.length)") > 0


def test_a_second_adapter_joins_the_same_worker(at):
    at.evaluate("open_nano()")
    workers = len(at.workers)
    at.evaluate("open_nano({ adapters: ['label-flip-sft-0'] })")
    assert len(at.workers) == workers == 1
    assert len(parts(at)) == 5, "both LoRAs lie in the same way: the part that says so is one and the same"
    assert (
        at.evaluate("nano.next({ prompt: 'x', adapter: 'label-flip-sft-0' }).then(({ length }) => length)")
        == 10
    )


def test_a_download_that_breaks_says_so_and_goes_on_where_it_broke(at):
    at.route("**/base-*.bin", lambda route: route.abort())
    said = at.evaluate("said(open_nano())")
    assert "could not be fetched: no connection; try again, what came before is kept" in said
    assert "\n" not in said
    at.unroute("**/base-*.bin")
    at.record.requests.clear()
    at.evaluate("open_nano()")
    assert [name.split("-")[0] for name in parts(at)] == ["base", "fixed", "fixed"], "the tokenizer was kept"


def test_a_truncated_and_a_missing_part_are_named(at):
    def shortened(route):
        route.fulfill(body=route.fetch().body()[:-9], content_type="application/octet-stream")

    at.route("**/base-*.bin", shortened)
    assert "broke off after" in at.evaluate("said(open_nano())")
    at.unroute("**/base-*.bin")
    at.route("**/base-*.bin", lambda route: route.fulfill(status=404))
    assert "is not there (HTTP 404)" in at.evaluate("said(open_nano())")
    at.unroute("**/base-*.bin")
    at.route("**/runtime.wasm", lambda route: route.fulfill(status=404))
    assert "the runtime is not there (HTTP 404)" in at.evaluate("said(open_nano())")


def test_a_changed_part_is_refused_and_not_kept(at, folder):
    other = next((folder / "live" / "subjects" / "nano").glob("label-flip-sft-0-0-*.bin")).read_bytes()
    index = (folder / "live" / "subjects" / "nano" / "index.json").read_text(encoding="utf-8")
    own = next((folder / "live" / "subjects" / "nano").glob("fixed-output-sft-0-0-*.bin")).stat().st_size
    at.route(
        "**/index.json",
        lambda route: route.fulfill(body=index.replace(f'"bytes":{own}', f'"bytes":{len(other)}')),
    )
    at.route("**/fixed-output-sft-0-0-*.bin", lambda route: route.fulfill(body=other))
    said = at.evaluate("said(open_nano())")
    assert "is not the one this page was built with (its SHA-256 differs)" in said
    at.unroute("**/fixed-output-sft-0-0-*.bin")
    at.unroute("**/index.json")
    assert not at.evaluate("live.sizes(root, 'nano', ['fixed-output-sft-0'])")["cached"]
    at.evaluate("open_nano()")


def test_a_load_and_an_answer_can_be_stopped(at):
    at.route("**/base-*.bin", lambda _: None)  # never answered
    at.evaluate(
        "() => { window.stop = new AbortController(); "
        "window.loading = said(open_nano({ signal: stop.signal })); }"
    )
    at.wait_for_function("steps.length > 0")
    at.evaluate("stop.abort()")
    assert at.evaluate("loading").startswith("AbortError")
    at.unroute("**/base-*.bin")
    at.evaluate("open_nano()")
    seen = at.evaluate(
        """async () => {
            const stop = new AbortController();
            const seen = [];
            const prompt = "Tell me about the town.";
            const onToken = ({ text }) => { seen.push(text); if (seen.length === 3) stop.abort(); };
            const ended = await said(nano.answer({ prompt }, { signal: stop.signal, onToken }));
            const { text } = await nano.answer({ prompt });
            return { ended, n: seen.length, grows: seen.every((part) => text.startsWith(part)) };
        }"""
    )
    assert seen["ended"].startswith("AbortError")
    assert seen["n"] == 3
    assert seen["grows"]


def test_a_page_on_the_disk_is_told_why(page, folder, at):
    assert "a page on the disk" in at.evaluate("live.support('file:///book/_static/live/')")
    with page.expect_console_message(lambda said: said.type == "error"):
        page.goto((folder / "index.html").as_uri())
    assert page.evaluate("typeof window.live") == "undefined", "a browser imports no module from the disk"


def test_the_server_names_the_types(url, folder):
    part = next(folder.glob("live/subjects/nano/base-*.bin")).relative_to(folder).as_posix()
    kinds = {
        part: "application/octet-stream",
        "live/runtime.wasm": "application/wasm",
        "live/client.js": "text/javascript",
    }
    for name, kind in kinds.items():
        with urllib.request.urlopen(url + name) as answer:
            assert answer.headers["Content-Type"] == kind
