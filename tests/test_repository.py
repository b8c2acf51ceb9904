"""Fast checks of the repository itself: what its files promise each other."""

from __future__ import annotations

import ast
import graphlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bkdwidgets
from bkdwidgets.book.addresses import NOTEBOOKS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bkdwidgets"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, TOOLS = PYPROJECT["project"], PYPROJECT["tool"]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
MAY_POINT_BACK = [  # a method that delegates: what it calls takes the class it belongs to
    ("bkdwidgets.subjects.subject", "bkdwidgets.subjects.answers"),
]
ADDRESS = PROJECT["urls"]["Repository"]
MAX_BYTES = 8 * 1024 * 1024
MAX_LINES = 400

# Hosts that pages load code, styles, fonts and pictures from. The book serves its own copies.
THIRD_PARTIES = re.compile(
    r"cdn\.|cdnjs|jsdelivr|unpkg\.com|esm\.sh|skypack\.dev|bootstrapcdn|fontawesome\.com|googleapis\.com|gstatic\.com"
    r"|googletagmanager|raw\.githubusercontent|colab-badge\.svg"
)


def tracked() -> list[Path]:
    """List the files under version control, or all of them where there is no git (an unpacked archive)."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8"
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        own = ("bkdwidgets", "book", "data", "tests")
        found = [path for folder in own for path in (ROOT / folder).rglob("*")]
        return [path for path in [*ROOT.glob("*.*"), *found] if path.is_file()]
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def texts(paths: list[Path]) -> list[tuple[str, str]]:
    """Read those of `paths` that are text, with the name each has in the repository."""
    read = []
    for path in paths:
        try:
            read.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return read


def readme_block(name: str) -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(rf"<!-- newcomer:{name} -->\n```bash\n(.*?)```", readme, re.DOTALL)
    assert len(found) == 1, f"README.md has {len(found)} blocks newcomer:{name}"
    return found[0]


def imports_of(name: str, source: Path) -> set[str]:
    """Name every module of the package that a module imports, wherever in its text."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & MODULES.keys()
            found |= {node.module} if inner - MODULES.keys() else set()
    return found & MODULES.keys()


def test_the_public_address_is_the_same_everywhere():
    path = ADDRESS.removeprefix("https://github.com/")
    owner, name = path.split("/")
    assert name == "bkdwidgets"
    mention = re.compile(r"(?:github\.com|colab\.research\.google\.com/github)/([\w.-]+)/bkdwidgets\b")
    pages = re.compile(r"\b([\w-]+)\.github\.io/bkdwidgets\b")
    wrong = [
        f"{file}: {match.group(0)}"
        for file, text in texts(tracked())
        for pattern in (mention, pages)
        for match in pattern.finditer(text)
        if match.group(1) != owner
    ]
    assert not wrong, f"not {ADDRESS}: {wrong}"


def test_citation_agrees_with_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == PROJECT["version"] == bkdwidgets.__version__
    assert citation["repository-code"] == ADDRESS
    assert any("2509.21761" in reference["url"] for reference in citation["references"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("LICENSE", "Apache License"),
        ("LICENSE-TEXT", "Attribution 4.0 International"),
        ("NOTICE", "SmolLM2-135M-Instruct"),
    ],
)
def test_licenses_are_there(name, says):
    assert says in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run", "test"])
def test_readme_blocks_stand_alone(name):
    lines = readme_block(name).splitlines()
    assert lines[0].startswith("python3 -m venv ")
    assert "-c constraints.txt" in lines[2]
    assert lines[-1].startswith({"run": "bkdwidgets book", "test": "pytest"}[name])


def test_readme_environments_are_apart_and_ignored():
    folders = [readme_block(name).splitlines()[0].split()[-1] for name in ("run", "test")]
    assert len(set(folders)) == 2
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ".venv*/" in ignored
    assert all(folder.startswith(".venv") for folder in folders)


def test_files_the_readme_shows_or_links_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if not link.startswith(("http", "#"))]
    assert "book/images/page.png" in local
    assert not [link for link in local if not (ROOT / link).is_file()]


def test_commands_the_documents_name_exist():
    named = set()
    for document in ("README.md", "CONTRIBUTING.md"):
        named |= set(
            re.findall(r"\bbkdwidgets ([a-z][a-z-]*)", (ROOT / document).read_text(encoding="utf-8"))
        )
    answer = subprocess.run(
        [sys.executable, "-c", "from bkdwidgets.cli import main; main()", "--help"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert not {name for name in named if name not in answer.stdout}


def test_constraints_cover_every_direct_dependency():
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            pins[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    direct = [
        *PROJECT["dependencies"],
        *(r for extra in PROJECT["optional-dependencies"].values() for r in extra),
    ]
    for requirement in map(Requirement, direct):
        name = canonicalize_name(requirement.name)
        if name == "bkdwidgets":
            continue
        assert name in pins, f"constraints.txt does not pin {name}"
        assert requirement.specifier.contains(pins[name]), (
            f"{name} {pins[name]} is not {requirement.specifier}"
        )
    assert not [name for name, version in pins.items() if "+" in version], (
        "a local version exists on one index only"
    )


def test_notebooks_are_stripped():
    for path in tracked():
        if path.suffix != ".ipynb":
            continue
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            where = f"{path.relative_to(ROOT)}, cell {number}"
            assert "".join(cell["source"]).strip(), f"{where} is empty"
            if cell["cell_type"] == "code":
                assert not cell["outputs"], f"{where} has outputs"
                assert cell["execution_count"] is None, f"{where} has an execution count"


def test_no_file_of_the_book_asks_a_third_party():
    roots = ("book/", "bkdwidgets/", "_config.yml")
    named = [
        f"{file}: {match.group(0)}"
        for file, text in texts(tracked())
        if file.startswith(roots)
        for match in THIRD_PARTIES.finditer(text)
    ]
    assert not named


def test_no_tracked_file_is_large():
    large = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in tracked()}
    assert not {name: size for name, size in large.items() if size > MAX_BYTES}


def test_no_source_file_is_longer_than_a_reader_keeps_in_mind():
    own = ("bkdwidgets/", "tests/", "book/")
    lines = {
        file: text.count("\n")
        for file, text in texts(tracked())
        if file.startswith(own)
        and file.endswith((".py", ".js", ".mjs", ".css", ".c", ".h"))
        and "/bundles/" not in file
    }
    assert len(lines) > 300
    assert not {file: count for file, count in lines.items() if count > MAX_LINES}


def test_every_room_has_its_layer():
    """The layers themselves are checked by lint-imports; a room that no layer names would be free."""
    contract = TOOLS["importlinter"]["contracts"][0]
    assert contract["type"] == "layers"
    assert contract["exhaustive"]
    assert "ignore_imports" not in contract
    named = [name for layer in contract["layers"] for name in layer.split(" | ")]
    rooms = {name.split(".")[1] for name in MODULES if "." in name}
    assert sorted(named) == sorted(rooms)


def test_no_module_imports_itself_by_a_detour():
    """Neither when loaded, nor later inside a function, nor for a type."""
    graph = {name: imports_of(name, path) for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 500
    for name, target in MAY_POINT_BACK:
        graph[name].remove(target)  # a KeyError: it no longer does, so it needs no exception
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_importing_the_package_does_not_import_torch():
    code = "import sys, bkdwidgets; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "False"


def test_actions_are_pinned():
    for workflow in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        text = workflow.read_text(encoding="utf-8")
        assert "permissions:" in text, workflow.name
        uses = re.findall(r"uses: (\S+)", text)
        assert not [action for action in uses if not re.search(r"@[0-9a-f]{40}$", action)], workflow.name


def test_one_job_may_write_to_the_repository():
    """Colab opens the branch that the publishing workflow pushes; nothing else pushes, and only there."""
    pages = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf-8"))
    weekly = yaml.safe_load((ROOT / ".github" / "workflows" / "colab.yml").read_text(encoding="utf-8"))
    jobs = pages["jobs"] | weekly["jobs"]
    writing = [name for name, job in jobs.items() if job["permissions"].get("contents") == "write"]
    assert pages["permissions"] == weekly["permissions"] == {}
    assert writing == ["notebooks"]
    pushes = [step["run"] for step in jobs["notebooks"]["steps"] if "git push" in step.get("run", "")]
    assert [re.search(r"git push .* (\S+)\n", script)[1] for script in pushes] == [NOTEBOOKS]
    checked_out = [step["with"].get("ref") for step in jobs["chapters"]["steps"] if "uses" in step]
    assert checked_out == [None, NOTEBOOKS]


@pytest.mark.parametrize("name", ["run", "block"])
def test_ci_scripts_are_executable(name):
    script = ROOT / ".ci" / name
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    if sys.platform != "win32":
        assert script.stat().st_mode & 0o111


def test_markers_of_the_readme_match_the_scripts():
    if sys.platform == "win32":
        pytest.skip("the scripts are bash")
    for name in ("run", "test"):
        printed = subprocess.run(
            [ROOT / ".ci" / "block", name], check=True, capture_output=True, text=True, encoding="utf-8"
        ).stdout
        assert printed == readme_block(name)
