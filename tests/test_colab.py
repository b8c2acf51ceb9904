"""Each chapter as Colab runs it: its own install cell in an environment that has a kernel and nothing else.

What runs are the editions that readers get, the solutions behind the chapter. The install cell's address is
turned to a wheel of this tree; all else is as a reader finds it: no clone, no account, no outputs from a
build. This takes minutes: it runs when asked for (``pytest -m colab``).
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = re.compile(rf"git\+{re.escape(PROJECT['urls']['Repository'])}(?:@[0-9a-f]{{40}})?(?=\\?\")")
"""What an install cell installs from: the repository, mostly at a commit."""
SCRIPT = ROOT / ".github" / "run_chapters.py"
NOT_A_READERS = {"PYTHONPATH", "BKDWIDGETS_STATIC", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "VIRTUAL_ENV"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True)
    (built,) = folder.glob("bkdwidgets-*.whl")
    return built


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """Make an environment with what runs a notebook, and return its Python."""
    place = tmp_path_factory.mktemp("colab") / "venv"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    constraints = ["-c", ROOT / "constraints.txt"]
    subprocess.run([python, "-m", "pip", "install", "-q", *constraints, "ipykernel", "nbclient"], check=True)
    return python


def tracked_data() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "data"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return {name.removeprefix("data/") for name in listed.split("\0") if name}


@pytest.mark.colab
def test_the_wheel_has_all_data(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = {name.partition("/_data/")[2] for name in packed.namelist() if "/_data/" in name}
    assert tracked_data() <= names
    assert {name.partition("/")[0] for name in names} >= {"adapters", "ledger", "live", "nano", "paper.json"}


@pytest.mark.colab
@pytest.mark.timeout(3000)
def test_each_chapter_and_its_solutions_run_where_only_its_install_cell_installs(
    wheel, colab, tmp_path, capsys
):
    edition = pytest.importorskip("bkdwidgets.book.edition", reason="the extra 'book' is not installed")
    notebooks = tmp_path / "notebooks"
    edition.write_all(ROOT, notebooks)
    for notebook in notebooks.rglob("*.ipynb"):
        text, n = ADDRESS.subn(wheel.as_uri(), notebook.read_text(encoding="utf-8"))
        assert n == 1, notebook.name
        notebook.write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in NOT_A_READERS}
    environment |= {
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),  # the versions that this tree was tested with
        "HF_HOME": str(tmp_path / "no-account"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one in the user's home
    }
    with capsys.disabled():  # a line per chapter, as they end
        done = subprocess.run([colab, SCRIPT, notebooks], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, "the chapters that broke are named above"
    where = "import bkdwidgets; print(bkdwidgets.__file__)"
    said = subprocess.run(
        [colab, "-c", where], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith(str(colab.parents[1])), "the chapters imported the package from elsewhere"


def test_what_runs_is_the_chapter_with_its_solutions(tmp_path, monkeypatch, capsys):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    spec = importlib.util.spec_from_file_location("run_chapters", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    ran = []

    class Client:
        def __init__(self, notebook, **_):
            self.code = script.code(notebook)

        def execute(self):
            ran.append(self.code)

    monkeypatch.setattr(script, "NotebookClient", Client)
    (tmp_path / "solutions").mkdir()
    for name, cells in {
        "a": ["k = 1"], "b": ["k = 1"], "c": ["k = 2"],
        "solutions/b": ["k = 1", "k + 1"], "solutions/c": ["k = 1", "k + 1"],
    }.items():  # fmt: skip
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    broken = tmp_path / "broken.txt"
    monkeypatch.setattr(sys, "argv", ["run_chapters", str(tmp_path), "--broken", str(broken)])
    assert script.main() == 1
    assert ran == [["k = 1"], ["k = 1", "k + 1"]]
    assert broken.read_text().strip() == f"{tmp_path.as_posix()}/c.ipynb"
    assert "does not begin with its cells" in capsys.readouterr().out


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_subject_goes_to_the_gpu_where_there_is_one(monkeypatch, there, device):
    import torch

    from bkdwidgets.subjects import registry

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert registry._device(None).type == device
