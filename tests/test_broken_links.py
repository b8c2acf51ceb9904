"""A link, a reference or a citation that leads nowhere is a warning under the book's own configuration.

The book is built with warnings as failures, so each of these stops it.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

pytest.importorskip("jupyter_book", reason="the extra 'book' is not installed")

from jupyter_book.config import get_final_config
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT = Path(__file__).resolve().parents[1]


BROKEN = {
    "[a](nowhere.md)": "nowhere.md",
    "[a](nowhere.ipynb)": "nowhere.ipynb",
    "[a](#nowhere)": "nowhere",
    "[a](files/nowhere.zip)": "files/nowhere.zip",
    "{ref}`nowhere`": "nowhere",
    "{ref}`text <nowhere>`": "nowhere",
    "{doc}`nowhere`": "nowhere",
    "{term}`nowhere`": "nowhere",
    "{numref}`nowhere`": "nowhere",
    "{cite:t}`nobody1900`": "nobody1900",
    "{cite:p}`yu2025,nobody1900`": "nobody1900",
    "{paper}`yu2025:headline.falls`": "falls",
    "{ledger}`nano/fixed-output-sft-0/mesure:asr`": "mesure",
    "{nowhere}`a`": "nowhere",
    "```{nowhere}\n```": "nowhere",
    "![a](nowhere.png)": "nowhere.png",
}
"""What leads nowhere -> what a warning has to name."""

WHOLE = "[a](#here), {ref}`here`, [b](page-0.md), [c](https://a.org), [d](colab:x.ipynb), {cite:t}`yu2025`"


@pytest.fixture(scope="module")
def warned(tmp_path_factory):
    """Build a book of one page for each broken link, as the book is built; return page -> its warnings."""
    root = tmp_path_factory.mktemp("root")
    (root / "book").mkdir()
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    names = [f"page-{number}" for number in range(len(BROKEN))]
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n" + "".join(f"  - file: {name}\n" for name in names)
    )
    (root / "index.md").write_text(f"(here)=\n# Index\n\n{WHOLE}\n\n```{{bibliography}}\n```\n")
    for name, text in zip(names, BROKEN, strict=True):
        (root / f"{name}.md").write_text(f"# {name}\n\n{text}\n")
    config, _ = get_final_config(
        user_yaml=ROOT / "_config.yml", sourcedir=root, cli_config={"latex_individualpages": False}
    )
    config["source_suffix"] = {".rst": "restructuredtext"}  # else all builds share what is added
    said = io.StringIO()
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            root, None, root / "out", root / "trees", "dummy",
            confoverrides=config, status=None, warning=said,
        )  # fmt: skip
        app.build()
    lines = said.getvalue().splitlines()
    return {name: "\n".join(line for line in lines if f"{name}.md:" in line) for name in ["index", *names]}


def test_what_leads_somewhere_is_no_warning(warned):
    assert warned["index"] == ""


@pytest.mark.parametrize(("number", "text", "told"), [(n, *pair) for n, pair in enumerate(BROKEN.items())])
def test_what_leads_nowhere_is_a_warning_that_names_it(warned, number, text, told):
    assert told in warned[f"page-{number}"], text
