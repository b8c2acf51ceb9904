"""The builder of the book and its sources, without building it."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
import urllib.request
from pathlib import Path

import pytest

from bkdwidgets.book import build, licenses, vendor
from bkdwidgets.book.server import listen
from bkdwidgets.core import npm
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.html import script_json
from bkdwidgets.figures.embed import Embedded, embedded_plotly

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"

needs_book = pytest.mark.skipif(
    not importlib.util.find_spec("sphinx"), reason="the extra 'book' is not installed"
)


def lock() -> dict:
    return json.loads((BOOK / "package-lock.json").read_text(encoding="utf-8"))["packages"]


def test_the_lock_pins_every_package_by_hash_and_names_no_registry():
    for path, entry in lock().items():
        if path:
            assert entry["integrity"].startswith("sha512-"), path
            assert "resolved" not in entry, path
    assert "registry." not in (BOOK / "package-lock.json").read_text(encoding="utf-8")


def test_the_lock_fits_the_package_file():
    wanted = json.loads((BOOK / "package.json").read_text(encoding="utf-8"))
    for kind in ("dependencies", "devDependencies"):
        assert lock()[""][kind] == wanted[kind]
        for name, version in wanted[kind].items():
            assert lock()[f"node_modules/{name}"]["version"] == version


def test_plotly_js_is_the_one_the_installed_plotly_writes_for():
    assert lock()["node_modules/plotly.js-cartesian-dist-min"]["version"] == vendor.plotly_js_version()


def test_notebooks_are_committed_without_outputs():
    found = sorted(BOOK.glob("**/*.ipynb"))
    assert found
    for path in found:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs"), path.name
            assert cell.get("execution_count") is None, path.name
            assert "".join(cell["source"]).strip(), f"{path.name} has an empty cell"


def test_nothing_a_page_loads_names_another_host():
    allowed = re.compile(r"http://www\.w3\.org/")  # a namespace, never fetched
    for path in sorted((BOOK / "site").iterdir()) + sorted((BOOK / "templates").iterdir()):
        text = allowed.sub("", path.read_text(encoding="utf-8"))
        assert not re.search(r"https?://", text), path.name


def test_no_folder_is_named_static_with_an_underscore():
    assert not list(BOOK.glob("**/_static")), "jupyter-book would load every script of it on every page"


def test_a_missing_book_and_a_foreign_folder_are_refused(tmp_path):
    with pytest.raises(BkdError, match="no book at"):
        build(root=tmp_path)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(BkdError, match="no built book"):
        build(root=ROOT, out=tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_a_gathered_folder_with_a_changed_byte_is_not_trusted(tmp_path):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "a.js").write_text("1")
    vendor._write_manifest(tmp_path)
    assert vendor.intact(tmp_path)
    (tmp_path / "vendor" / "a.js").write_text("2")
    assert not vendor.intact(tmp_path)
    assert not vendor.intact(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("npm error code ENOTFOUND\nnpm error network request failed", "npm cannot be reached"),
        ("npm error code EINTEGRITY\nnpm error sha512-x integrity checksum failed", "not the pinned one"),
        ("npm error code E404\nnpm error 404 Not Found", "E404"),
    ],
)
def test_what_npm_says_becomes_one_line(said, told):
    line = str(npm.npm_error(said))
    assert told in line
    assert "\n" not in line


def test_a_package_without_license_text_is_an_error(tmp_path):
    with pytest.raises(BkdError, match="no license text"):
        licenses._npm_text(tmp_path, {"name": "odd", "license": "Custom"}, "")
    assert "Copyright (c) Ada" in licenses._npm_text(
        tmp_path, {"name": "a", "license": "MIT", "author": "Ada <a@b>"}, ""
    )


def test_licenses_cover_the_bundles():
    shipped = licenses.shipped_npm(BOOK / "package-lock.json")
    assert {"mathjax", "requirejs", "react", "chart.js", "@jupyter-widgets/controls"} <= set(shipped)


@needs_book
def test_every_address_follows_from_the_one_in_pyproject(tmp_path):
    from bkdwidgets.book.addresses import address, colab, site

    assert re.fullmatch(r"https://github\.com/[^/]+/[^/]+", address(ROOT))
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/a/b/"\n')
    assert colab(address(tmp_path)) == "https://colab.research.google.com/github/a/b/blob/notebooks/"
    assert site(address(tmp_path)) == "https://a.github.io/b/"
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(BkdError, match="Repository"):
        address(tmp_path)
    # A chapter's install cell has to spell the address out; test_repository.py holds it to this one.
    for source in [ROOT / "_config.yml", *BOOK.glob("*.md")]:
        assert address(ROOT) not in source.read_text(encoding="utf-8"), (
            f"{source.name}: write colab: or repo: instead"
        )


def test_the_server_answers_on_the_loopback_only(tmp_path):
    (tmp_path / "index.html").write_text("hello")
    with listen(tmp_path) as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as answer:
            assert answer.read() == b"hello"
        with pytest.raises(BkdError, match="cannot be opened"):
            listen(tmp_path, server.server_port)
        server.shutdown()
    with pytest.raises(BkdError, match="no built book"):
        listen(tmp_path / "nowhere")


HOSTILE = "</script><img src=x onerror=alert(1)>"


def test_text_in_an_embedded_figure_cannot_close_its_element():
    written = Embedded("plotly", {"text": HOSTILE}, label=f'"{HOSTILE}', height=100)._repr_html_()
    assert "<img" not in written
    assert written.count("</script>") == 1
    assert json.loads(script_json({"text": HOSTILE})) == {"text": HOSTILE}


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ({"title": {"text": "<b>Heads</b>"}, "xaxis": {"title": {"text": "head"}}}, "Heads"),
        ({"xaxis": {"title": {"text": "head"}}, "yaxis": {"title": {"text": "layer"}}}, "layer by head"),
        ({"xaxis": {"title": "k"}}, "k"),
        ({}, "figure"),
    ],
)
def test_a_figure_without_a_title_is_named_by_its_axes(layout, name):
    assert embedded_plotly({"data": [], "layout": layout}).label == name


def test_circuitsvis_stays_here_and_its_tokens_stay_text(monkeypatch):
    cv = pytest.importorskip("circuitsvis")
    from circuitsvis.utils import render

    from bkdwidgets import notebook

    monkeypatch.setattr(render, "internet_on", lambda: pytest.fail("asked an outside host"))
    monkeypatch.setattr(render, "convert_props", render.convert_props)
    notebook._tame_circuitsvis()
    drawing = cv.tokens.colored_tokens(tokens=[HOSTILE, "a&lt;b"], values=[0.123456789, 1.0])._repr_html_()
    after = drawing[drawing.rindex("CircuitsVis.render(") :]
    assert "http" not in drawing[:200]
    assert "<img" not in after
    assert "0.1235" in after
    assert "&" + notebook.WORD_JOINER.encode("unicode_escape").decode() in after


PAGE = '<html><head><meta charset="utf-8">HEAD</head><body><article>TEXT</article></body></html>'


def test_a_page_allows_its_theme_s_inline_scripts_by_their_hash_and_nothing_in_its_text():
    from bkdwidgets.book.csp import script_hash, with_policy

    head = (
        '<script>let a = 1;</script><script src="a.js"></script><script type="application/json">{}</script>'
    )
    page = with_policy(PAGE.replace("HEAD", head))
    assert page.count("'sha256-") == 1
    assert script_hash("let a = 1;") in page
    assert with_policy(page) == page
    for text in ("<script>let a = 1;</script>", '<img src="x" onerror="alert(1)">'):
        with pytest.raises(BkdError, match="would block"):
            with_policy(PAGE.replace("TEXT", text))
    assert with_policy(PAGE.replace("TEXT", '<script type="application/json">{}</script>'))
    quoted = PAGE.replace("TEXT", '<meta http-equiv="Content-Security-Policy" content="script-src *">')
    assert with_policy(quoted).index("default-src 'self'") < with_policy(quoted).index("<body>")
    with pytest.raises(BkdError, match="charset"):
        with_policy("<html></html>")


def test_the_widget_manager_is_freed_of_eval(tmp_path):
    last = 'define("@jupyter-widgets/html-manager/dist/libembed-amd",["module"],x)'
    script = tmp_path / "embed-amd.js"
    script.write_text(f"a=1;g=new(h());g.compile(A),g.compile(p);b=2;{last}")
    vendor._without_eval(script)
    assert script.read_text() == "a=1;g=new(h());b=2;"
    with pytest.raises(BkdError, match="otherwise than expected"):
        vendor._without_eval(script)
