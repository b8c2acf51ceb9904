"""A lab's own JavaScript on a page without a book, with a stand-in for the widget's model."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = """<!doctype html><html data-theme="THEME"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
CSS
body { margin: 0; padding: 16px; background: var(--bkd-paper); }</style>
META<body><div style="height:ABOVEpx"></div><div class="bkd-desk bkd-KIND-lab"><div class="bkd-desk-grid">
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


def written(folder: Path, lab, kind: str, *, dark: bool = False, live: bool = False, above: int = 0) -> None:
    """Write the page of one lab: its module, its style sheet and its state."""
    names = [name for name in lab.view.trait_names(sync=True) if not name.startswith("_")]
    state = {name: getattr(lab.view, name) for name in names if name not in {"layout", "comm", "keys"}}
    state["table_gz"] = base64.b64encode(state["table_gz"]).decode()
    state = {
        name: value
        for name, value in state.items()
        if isinstance(value, str | int | float | bool | list | dict)
    }
    page = PAGE.replace("THEME", "dark" if dark else "light").replace("KIND", kind)
    page = page.replace("META", '<meta name="bkd-live" content="live/">' if live else "")
    page = page.replace("ABOVE", str(above)).replace("CSS", lab.view._css)
    page = page.replace("STATE", json.dumps(state).replace("<", "\\u003c"))
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "lab.js").write_text(lab.view._esm, encoding="utf-8")
    (folder / "favicon.ico").write_bytes(b"")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder and yield its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *args):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
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
