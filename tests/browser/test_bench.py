"""The benchmark page works and names what it measures. No timing is asserted."""

from __future__ import annotations

import threading

import pytest

from bkdwidgets.bench import web
from bkdwidgets.book.server import listen
from bkdwidgets.cli import main
from bkdwidgets.subjects.specs import spec_of


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    sizes = web.write_bench_site(folder, ["nano"])
    assert 1 < sizes["nano"] <= spec_of("nano").page.download_mb
    with listen(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_page_shows_each_median_beside_its_limit(page, address):
    page.goto(address)
    page.get_by_role("button", name="Measure nano").click()
    page.get_by_text("nano is measured.").wait_for()
    rows = [row.inner_text().split("\t") for row in page.locator("#rows tr").all()]
    assert len(rows) == 5
    token = next(row for row in rows if row[1] == "each token of an answer")
    assert token[0] == "nano"
    assert token[3] == "1 ms"
    median, unit = token[2].split()
    assert (token[4], unit) == ("met" if float(median) <= 1 else "not met", "ms")
    assert not page.record.complaints(), page.record.complaints()


def test_a_reader_with_nothing_loaded_gets_an_answer(page, address):
    page.goto(address)
    assert page.evaluate("async () => (await import('./bench.js')).firstAnswer('nano')") > 0


def test_the_outline_says_met_or_not():
    rows = [
        web._row("kept", "ms", 2.0, 20, 3.0),
        web._row("broken", "ms", 4.0, 20, 3.0),
        web._row("free", "MB", 1.0, 1, None),
    ]
    found = {"machine": {"processor": "x", "load": 0}, "browser": "1", "results": {"nano": rows}}
    kept, broken, free = web.outline(found)[2:]
    assert kept.endswith("met  (20 runs)")
    assert "NOT MET" in broken
    assert "met" not in free


def test_web_takes_no_single_benchmark(capsys):
    assert main(["bench", "--web", "--only", "scaling"]) == 2
    assert "--only" in capsys.readouterr().err
