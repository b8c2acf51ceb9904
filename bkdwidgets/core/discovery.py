"""Find what the modules of a package define, so that a new file needs no line in a list."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

Kind = TypeVar("Kind")


def modules(package: str) -> Iterator[ModuleType]:
    """Import and yield the modules right inside a package, in the order of their names."""
    for name in _names(package):
        yield importlib.import_module(f"{package}.{name}")


def submodules(package: str, name: str) -> Iterator[ModuleType]:
    """Import and yield the module of a name in every folder of a package that has one."""
    for folder in _names(package, folders=True):
        if name in _names(f"{package}.{folder}"):
            yield importlib.import_module(f"{package}.{folder}.{name}")


def instances(package: str, kind: type[Kind]) -> list[Kind]:
    """Return the objects of a kind that stand at the top of a package's modules, each once."""
    found = {id(item): item for module in modules(package) for item in vars(module).values()}
    return [item for item in found.values() if isinstance(item, kind)]


def defined(module: ModuleType, kind: type[Kind]) -> list[type[Kind]]:
    """Return the subclasses of a class that a module defines itself."""
    return [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, kind) and item.__module__ == module.__name__
    ]


def _names(package: str, *, folders: bool = False) -> list[str]:
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return sorted(item.name for item in found if item.ispkg or not folders)
