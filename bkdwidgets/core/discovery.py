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
    path = importlib.import_module(package).__path__
    for name in sorted(found.name for found in pkgutil.iter_modules(path)):
        yield importlib.import_module(f"{package}.{name}")


def instances(package: str, kind: type[Kind]) -> list[Kind]:
    """Return the objects of a kind that stand at the top of a package's modules, each once."""
    found = {id(item): item for module in modules(package) for item in vars(module).values()}
    return [item for item in found.values() if isinstance(item, kind)]
