"""Chromium and Firefox compute the same, bit for bit: what one computes, every reader sees.

Playwright cannot drive Debian's Firefox, so the page sends its result to the server it came from.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser_tiny import write_tiny

from bkdwidgets import browser as live
from bkdwidgets.browser import export_web

PAGE = Path(__file__).parent / "bits"
PATIENCE = 120


class Taking(SimpleHTTPRequestHandler):
    """A file server that also takes what a page sends."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }
    taken: queue.Queue[dict] = queue.Queue()

    def do_POST(self):
        self.taken.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serve the page with nano and a tiny model in quantized blocks."""
    root = tmp_path_factory.mktemp("bits") / "site"
    shutil.copytree(PAGE, root)
    package = Path(live.__file__).parent
    shutil.copytree(package / "js", root / "live")
    shutil.copy(package / "runtime" / "runtime.wasm", root / "live")
    export_web("nano", root / "subjects" / "nano")
    write_tiny(root / "subjects" / "tiny")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Taking, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


def firefox() -> str:
    found = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
    if found is None:
        pytest.skip("no Firefox found: install the package firefox-esr to compare with it")
    return found


def in_firefox(address: str, profile: Path) -> dict:
    profile.mkdir()
    command = [firefox(), "--headless", "--no-remote", "--profile", str(profile), address]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | {"HOME": str(profile)}, **quiet) as process:
        try:
            return Taking.taken.get(timeout=PATIENCE)
        finally:
            process.terminate()


def test_chromium_and_firefox_agree_to_the_last_bit(page, address, tmp_path):
    firefox()
    page.goto(address)
    chromium = Taking.taken.get(timeout=PATIENCE)
    assert set(chromium) == {"nano", "tiny"}, chromium
    assert len(set(chromium["nano"] + chromium["tiny"])) == 40, "each run is another one"
    assert in_firefox(address, tmp_path / "profile") == chromium
