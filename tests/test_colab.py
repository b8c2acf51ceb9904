"""Each chapter as Colab runs it: its own install cell in an environment that has a kernel and nothing else.

The install cell's address is turned to a wheel of this tree; all else is as a reader finds it: no clone, no
account, no outputs from a build. The solutions of the exercises run after the chapter, in its kernel. This
takes minutes: it runs when asked for (``pytest -m colab``), and under CI.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"][
    "Repository"
]
SCRIPT = ROOT / ".github" / "run_chapters.py"
NOT_A_READERS = {"PYTHONPATH", "BKDWIDGETS_STATIC", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "VIRTUAL_ENV"}


@pytest.fixture(scope="module")
def asked(request):
    if not (os.environ.get("CI") or "colab" in request.config.option.markexpr):
        pytest.skip("minutes long; ask for it with -m colab")


@pytest.fixture(scope="module")
def wheel(asked, tmp_path_factory):
    """Build the wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True)
    (built,) = folder.glob("bkdwidgets-*.whl")
    return built


@pytest.fixture(scope="module")
def colab(tmp_path_factory, asked):
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
    for chapter in (ROOT / "book").glob("*.ipynb"):
        text = chapter.read_text(encoding="utf-8")
        assert f"git+{ADDRESS}" in text, chapter.name
        (tmp_path / chapter.name).write_text(text.replace(f"git+{ADDRESS}", wheel.as_uri()), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in NOT_A_READERS}
    environment |= {
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),  # the versions that this tree was tested with
        "HF_HOME": str(tmp_path / "no-account"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one in the user's home
    }
    with capsys.disabled():  # a line per chapter, as they end
        done = subprocess.run([colab, SCRIPT, tmp_path], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, "the chapters that broke are named above"
    where = "import bkdwidgets; print(bkdwidgets.__file__)"
    said = subprocess.run(
        [colab, "-c", where], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith(str(colab.parents[1])), "the chapters imported the package from elsewhere"


def test_solutions_are_the_python_blocks_below_the_exercises():
    nbformat = pytest.importorskip("nbformat")
    spec = importlib.util.spec_from_file_location("run_chapters", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    cells = [
        nbformat.v4.new_markdown_cell("# A\n\n```python\nshown = 1\n```"),
        nbformat.v4.new_code_cell("k = 1"),
        nbformat.v4.new_markdown_cell("## Exercises\n\n```python\na = 1\n```\n\n```\nno code\n```"),
        nbformat.v4.new_markdown_cell("- In a list:\n\n  ```python\n  if a:\n      b = 2\n  ```"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert script.solutions(notebook) == ["a = 1\n", "if a:\n    b = 2\n"]


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_subject_goes_to_the_gpu_where_there_is_one(monkeypatch, there, device):
    import torch

    from bkdwidgets.subjects import registry

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert registry._device(None).type == device
