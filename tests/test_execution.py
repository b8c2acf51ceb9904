"""The chapters' cells run before the pages are made, and only where something has changed."""

from __future__ import annotations

import os

import nbformat
import pytest

pytest.importorskip("jupyter_cache", reason="the extra 'book' is not installed")

from bkdwidgets.book import builder, execution

TOC = "format: jb-book\nroot: intro\nchapters:\n  - file: one\n  - file: two\n"


@pytest.fixture
def root(tmp_path):
    """A book of two chapters; each run of a chapter adds a line to ``runs``."""
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "_config.yml").write_text("execute:\n  timeout: 60\n")
    (tmp_path / "intro.md").write_text("# Home\n")
    for name in ("one", "two"):
        write(tmp_path, name, f"open('runs', 'a').write('{name} ')")
    return tmp_path


def write(root, name, code, prose="Prose."):
    cells = [nbformat.v4.new_markdown_cell(prose), nbformat.v4.new_code_cell(code)]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), root / f"{name}.ipynb")


def run(root):
    return execution.run(root, root / "cache")


def test_only_a_chapter_whose_cells_changed_runs_again(root):
    assert run(root) == []
    assert sorted((root / "runs").read_text().split()) == ["one", "two"]
    write(root, "one", "open('runs', 'a').write('one ')", prose="Other prose.")
    write(root, "two", "open('runs', 'a').write('again ')")
    assert run(root) == []
    assert sorted((root / "runs").read_text().split()) == ["again", "one", "two"]


def test_myst_nb_finds_what_the_cells_showed(root):
    from jupyter_cache import get_cache

    write(root, "one", "print('shown')")
    assert run(root) == []
    read = nbformat.read(root / "one.ipynb", as_version=4)
    _, merged = get_cache(str(root / "cache")).merge_match_into_notebook(read)
    assert merged.cells[0].source == "Prose."
    assert merged.cells[1].outputs[0].text == "shown\n"


def test_a_chapter_that_breaks_is_named_and_the_others_run(root):
    write(root, "one", "1 / 0")
    (said,) = run(root)
    assert said.startswith("one.ipynb: An error occurred while executing the following cell")
    assert "ZeroDivisionError" in said
    assert "one.ipynb" in builder._why(said)
    assert (root / "runs").read_text() == "two "
    assert len(run(root)) == 1


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A package and data of which the fingerprint is taken."""
    monkeypatch.setattr(execution.paths, "data_dir", lambda: tmp_path / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.json").write_text("1")
    (tmp_path / "_config.yml").write_text("title: A")
    return tmp_path


def test_data_and_configuration_change_the_fingerprint_and_a_date_does_not(book):
    before = execution.fingerprint(book)
    os.utime(book / "data" / "a.json", (1, 1))
    assert execution.fingerprint(book) == before
    for name, text in (("data/a.json", "2"), ("data/b.json", "1"), ("_config.yml", "title: B")):
        (book / name).write_text(text)
        now = execution.fingerprint(book)
        assert now != before, name
        before = now


@pytest.mark.parametrize(
    ("changed", "fingerprint", "kept"), [(True, "a", True), (True, "b", False), (False, "a", False)]
)
def test_outputs_stay_only_if_asked_for_and_if_nothing_else_changed(tmp_path, changed, fingerprint, kept):
    work = tmp_path / "_build"
    builder._clear(work, "a", changed=False, report=print)
    output = work / ".jupyter_cache" / "output"
    page = work / "html" / "page.html"
    for path in (output, page):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    builder._clear(work, fingerprint, changed=changed, report=print)
    assert output.exists() == kept
    assert not page.exists()
    assert (work / ".jupyter_cache" / "fingerprint").read_text() == fingerprint
