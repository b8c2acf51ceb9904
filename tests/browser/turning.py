"""Labs with their real controls on a page without a book: with the widget manager that the book serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ipywidgets.embed import embed_data

from bkdwidgets.book import vendor

if TYPE_CHECKING:
    from collections.abc import Sequence

BOOK = Path(__file__).resolve().parents[2] / "book"
PAGE = """<!doctype html><html lang="en" data-theme="THEME"><head><meta charset="utf-8"><title>Labs</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body { margin: 0; padding: 16px; background: var(--bkd-paper); }
.place { margin-bottom: 80px; }</style></head>
<body><main id="labs"></main>
<script type="application/json" id="state">STATE</script>
<script src="vendor/require.js"></script>
<script>
const paths = { "@jupyter-widgets/html-manager": "vendor/html-manager" };
requirejs.config({ baseUrl: "vendor/", paths });
</script>
<script src="vendor/embed-amd.js"></script>
<script>
const state = JSON.parse(document.getElementById("state").textContent);
const required = (name) => new Promise((done, failed) => requirejs([name], done, failed));
async function show() {
  const { HTMLManager } = await required("@jupyter-widgets/html-manager");
  const manager = new HTMLManager({ loader: required });
  const models = await manager.set_state(state.manager_state);
  for (const { model_id: wanted } of state.view_specs) {
    const place = document.createElement("div");
    place.className = "place";
    document.getElementById("labs").append(place);
    const view = await manager.create_view(models.find((one) => one.model_id === wanted));
    await manager.display_view(view, place);
  }
  window.ready = true;
}
show();
</script></body></html>"""


def written_with_controls(folder: Path, labs: Sequence, *, dark: bool = False) -> None:
    """Write a page of labs, each with its sliders and menus."""
    state = json.dumps(embed_data(views=list(labs), drop_defaults=False)).replace("<", "\\u003c")
    page = PAGE.replace("THEME", "dark" if dark else "light").replace("STATE", state)
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "favicon.ico").write_bytes(b"")
    if not (folder / "vendor").exists():
        (folder / "vendor").symlink_to(vendor.gather(BOOK) / "vendor", target_is_directory=True)
