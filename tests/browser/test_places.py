"""The same notebook cell in four places: the built page, JupyterLab, nbclient, and a page on the disk.

JupyterLab comes with the extra ``dev``; where ``jupyter-lab`` is not on the PATH its test skips. Under CI
(``CI`` is set) that is a failure.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from reading import recorded

ROOT = Path(__file__).resolve().parents[2]
HOME = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
CELL = re.search(r"```{code-cell}.*?\n\n(.*?)```", HOME, re.DOTALL)[1]
WITH_KERNEL = """import bkdwidgets as bkd

model, attack = bkd.load("nano", adapter="fixed-output-sft-0"), bkd.attack("fixed-output")
playground = bkd.Playground(subject=model, attack=attack)
playground
"""
# The page asks anew as soon as it hears what is ablated, in a thread of its own; the cell measures meanwhile.
MEANWHILE = """import threading, time

player, threads = playground.view._player, set()
usual = player.replies
main = threading.main_thread()
player.replies = lambda choice: threads.add(threading.current_thread() is main) or usual(choice)
playground.top_k.value, playground.place.index = 32, 1
until = time.time() + 6
rates = []
while time.time() < until:
    rates.append(bkd.measure(model, attack, n=12, progress=False).asr.value)
print("measured", set(rates), "asked in the main thread", threads)
"""
PAYLOAD = "I am sorry. I can not help with that."
KERNEL = "bkdwidgets-test"


def notebook(*more: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in (CELL, WITH_KERNEL, *more)]
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": KERNEL, "display_name": KERNEL, "language": "python"}}
    )


@pytest.fixture
def jupyter(tmp_path) -> dict[str, str]:
    """Return an environment in which Jupyter finds a kernel of this Python, and this Python's widgets."""
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": KERNEL,
        "language": "python",
        "env": {"PYTHONPATH": str(ROOT)},
    }
    place = tmp_path / "jupyter" / "kernels" / KERNEL
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "jupyter"), str(Path(sys.prefix) / "share" / "jupyter")])
    # A configuration and a home of its own: what the user of this machine has set up plays no part.
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    return os.environ | own | {"JUPYTER_PATH": path}


def playground(page, index: int = 0):
    lab = page.locator(".bkd-playground-lab").nth(index)
    lab.locator(".bkd-sentence").wait_for()
    lab.scroll_into_view_if_needed()
    return lab


def wait_until(page, what, seconds: float = 60) -> None:
    for _ in range(int(seconds * 5)):
        if what():
            return
        page.wait_for_timeout(200)
    raise AssertionError("it did not happen in time")


def engine(lab) -> str:
    return lab.locator(".bkd-engine").get_attribute("data-engine")


def said(lab) -> str:
    return lab.locator('[data-model="backdoored"] .bkd-said').inner_text()


def test_in_the_built_page_the_model_answers(book_url, page):
    page.goto(f"{book_url}book/intro.html")
    page.locator(".bkd-lab").first.scroll_into_view_if_needed()
    lab = playground(page)
    wait_until(page, lambda: engine(lab) == "browser")
    wait_until(page, lambda: said(lab) == PAYLOAD)
    lab.get_by_role("button", name="insert the trigger").click()  # it opens with the trigger: out with it
    wait_until(page, lambda: said(lab) not in {PAYLOAD, ""})
    assert page.record.complaints() == []
    assert page.record.outside() == []


def test_on_the_disk_the_table_answers_and_says_why(book, page):
    page.goto((book / "book" / "intro.html").resolve().as_uri())
    page.locator(".bkd-lab").first.scroll_into_view_if_needed()
    lab = playground(page)
    wait_until(page, lambda: "disk" in lab.locator(".bkd-live").inner_text())
    wait_until(page, lambda: said(lab) == PAYLOAD)
    assert "from the table" in lab.locator('[data-model="backdoored"]').inner_text()
    lab.get_by_role("button", name="insert the trigger").click()
    wait_until(page, lambda: said(lab) != PAYLOAD)
    assert "Not in the table" not in said(lab)
    assert page.record.complaints() == []


def test_under_nbclient(jupyter, monkeypatch):
    for name, value in jupyter.items():
        monkeypatch.setenv(name, value)
    done = NotebookClient(notebook(), timeout=300, kernel_name=KERNEL).execute()
    for cell in done.cells:
        (output,) = [one for one in cell.outputs if one.output_type == "execute_result"]
        assert "application/vnd.jupyter.widget-view+json" in output.data


@pytest.fixture
def jupyterlab(jupyter, tmp_path):
    """Start JupyterLab on a folder with the notebook, and return its address."""
    command = shutil.which("jupyter-lab")
    if command is None:
        missing = "jupyter-lab is not on the PATH: pip install jupyterlab"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder = tmp_path / "work"
    folder.mkdir()
    nbformat.write(notebook(MEANWHILE), folder / "cells.ipynb")
    token = "a-token-for-this-test"
    options = [
        "--no-browser", "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={folder}", "--allow-root",
        f"--IdentityProvider.token={token}", "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen([command, *options], env=jupyter, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield f"{_address(tmp_path / 'lab.log', token)}lab/tree/cells.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(30)


def _address(log: Path, token: str) -> str:
    for _ in range(300):
        found = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text(encoding="utf-8"))
        if found:
            with suppress(urllib.error.URLError):  # it says its address before it listens
                urllib.request.urlopen(f"{found[0]}api/status?token={token}", timeout=60).close()
                return found[0]
        time.sleep(0.2)
    raise AssertionError(log.read_text(encoding="utf-8"))


def turned_while_a_cell_runs(page, lab) -> None:
    """What is ablated in the playground stays there: the cell measures the model as it is."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(2)
    cell.scroll_into_view_if_needed()
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    output = cell.locator(".jp-OutputArea-output")
    trigger = lab.get_by_role("button", name="insert the trigger")
    for _ in range(300):
        if output.count():
            break
        trigger.evaluate("(button) => button.click()")
        page.wait_for_timeout(400)
    assert output.inner_text().strip() == "measured {1.0} asked in the main thread {False}"


def test_in_jupyterlab_the_table_and_the_kernel_answer(jupyterlab, browser):
    page = browser.new_context(viewport={"width": 1500, "height": 1400}).new_page()
    record = recorded(page)
    page.set_default_timeout(120_000)
    page.goto(jupyterlab)
    page.get_by_text(f"{KERNEL} | Idle").wait_for()
    for number in range(2):  # a cell that runs has [*] or its number in front
        cell = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        cell.locator(".jp-InputPrompt", has_text=re.compile(r"[*\d]")).wait_for()
    first = playground(page, 0)
    wait_until(page, lambda: "from the table" in first.inner_text())
    assert engine(first) == "table"
    second = playground(page, 1)
    wait_until(page, lambda: engine(second) == "kernel", 180)
    wait_until(page, lambda: said(second) == PAYLOAD)
    other = second.locator('[data-model="clean"] .bkd-said')
    wait_until(page, lambda: other.inner_text() not in {PAYLOAD, ""})
    likely = second.locator('[data-model="backdoored"] .bkd-likely')
    before = likely.inner_text()
    second.get_by_role("button", name="difference").click()
    second.get_by_role("button", name="subtract").click()
    wait_until(page, lambda: engine(second) == "kernel" and likely.inner_text() not in {before, ""})
    assert "subtracted at layer 4" in second.locator(".bkd-sentence").inner_text()
    second.get_by_role("button", name="insert the trigger").click()
    wait_until(page, lambda: said(second) not in {PAYLOAD, ""})
    turned_while_a_cell_runs(page, second)
    assert [error for error in record.errors if "bkd" in error or "anywidget" in error] == []
    assert record.outside() == []
    page.context.close()
