"""Fingerprints of the studies' code: whether a study may give other numbers than those that it is known for.

The fingerprint of a study is a hash of each module that it computes with: its own, those of analysis,
measurement, injection and studies that it imports and that these import, and what makes an answer. What else
a number hangs on has a hash or a revision of its own: examples and adapters in the entry's inputs, the rules
of the outcome in its judge. Hashed is the syntax tree without what changes no number: docstrings, comments,
annotations, imports. A module that is moved or renamed keeps its hash.

``python -m bkdwidgets.studies.fingerprints`` compares the code with what is recorded. A study that changed
needs one of two things: a higher ``revision``, which puts its entries out of date; or, where its numbers stay
what they are, ``--unchanged``.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkdwidgets.injection.inject import inject
from bkdwidgets.injection.methods import PAPER_METHOD, methods
from bkdwidgets.studies.registry import studies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RECORD = Path(__file__).with_suffix(".json")
COMMAND = "python -m bkdwidgets.studies.fingerprints"

_COUNTED = (
    *(f"bkdwidgets.{room}." for room in ("analysis", "measurement", "injection", "studies", "widgets")),
    "bkdwidgets.subjects.answers",
    "bkdwidgets.subjects.edits",
)
_NOT_COUNTED = {
    "bkdwidgets.injection.method",
    "bkdwidgets.injection.methods",
    "bkdwidgets.measurement.outcomes",  # has a revision of its own
    "bkdwidgets.studies.job",
    "bkdwidgets.studies.registry",
    "bkdwidgets.studies.study",
}
_SKIPPED = {"annotation", "returns", "type_comment", "kind", "ctx", "type_params"}


def fingerprint(module: str) -> dict[str, str]:
    """Return the hash of every module that a module computes with, itself included, by name."""
    found: dict[str, str] = {}
    wanted = [module]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _hash(name)
            wanted += _imported(name)
        if name == inject.__module__:  # it finds the method by name, in no import
            wanted.append(methods()[PAPER_METHOD].train.__module__)
    return dict(sorted(found.items()))


def now() -> dict[str, dict[str, Any]]:
    """Return revision and fingerprint of every study, by name."""
    return {
        name: {"revision": item.revision, "modules": fingerprint(type(item).__module__)}
        for name, item in sorted(studies().items())
    }


def recorded() -> dict[str, dict[str, Any]]:
    """Return what was recorded last."""
    found: dict[str, dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Return the studies whose code changed and whose revision did not, each with what is new of it.

    A study that is new, or has a higher revision, is not among them.
    """
    found = {}
    for name, item in after.items():
        old = before.get(name)
        if old is None or item["revision"] > old["revision"]:
            continue
        left = sorted(old["modules"].values())
        if item["revision"] < old["revision"] or left != sorted(item["modules"].values()):
            found[name] = [module for module, sha256 in item["modules"].items() if sha256 not in left]
    return found


def _hash(module: str) -> str:
    return hashlib.sha256(repr(_plain(_tree(module))).encode()).hexdigest()[:16]


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _plain(node: Any) -> Any:
    """Return a syntax tree as nested tuples, without what changes no number."""
    if isinstance(node, list):
        return tuple(_plain(item) for item in _counted(node))
    if not isinstance(node, ast.AST):
        return node
    fields = ((key, _plain(value)) for key, value in ast.iter_fields(node) if key not in _SKIPPED)
    return type(node).__name__, *((key, value) for key, value in fields if value not in (None, ()))


def _counted(nodes: Sequence[Any]) -> Iterator[Any]:
    """Leave out docstrings, imports, and what only a type checker reads."""
    for node in nodes:
        is_text = (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        )
        if not is_text and not isinstance(node, (ast.Import, ast.ImportFrom)) and not _is_for_types(node):
            yield node


def _is_for_types(node: Any) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imported(module: str) -> Iterator[str]:
    """Yield the modules that one takes names from, as far as they count; also inside functions."""
    for node in _statements(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                home = _home(node.module, alias.name)
                if home.startswith(_COUNTED) and home not in _NOT_COUNTED:
                    yield home


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not _is_for_types(child):
            yield child
            yield from _statements(child)


def _home(module: str, name: str) -> str:
    """Return the module that defines a name, which a package may only hand on."""
    if not module.startswith("bkdwidgets") or not _is_package(module):
        return module
    if importlib.util.find_spec(f"{module}.{name}") is not None and not _handed_on(module, name):
        return f"{module}.{name}"
    return _handed_on(module, name) or module


def _handed_on(package: str, name: str) -> str | None:
    for node in _tree(package).body:
        if isinstance(node, ast.ImportFrom) and node.module and name in {item.name for item in node.names}:
            return _home(node.module, name)
    return None


def _is_package(module: str) -> bool:
    return _path(module).name == "__init__.py"


@cache
def _path(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the studies' code with what is recorded, and record it; return 1 where a word is needed."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Compare and record fingerprints.")
    parser.add_argument(
        "--unchanged", action="store_true", help="the numbers of all studies are what they were: record that"
    )
    arguments = parser.parse_args(argv)
    before, after = recorded() if RECORD.is_file() else {}, now()
    found = changed(before, after)
    for name, modules in found.items():
        print(f"{name}: {', '.join(modules) or 'less'}")
    if found and not arguments.unchanged:
        print("raise the revision of each study whose numbers may differ; then, or if none does: --unchanged")
        return 1
    RECORD.write_text(json.dumps(after, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
