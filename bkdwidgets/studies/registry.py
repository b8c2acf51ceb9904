"""The studies by name, each after those it needs: found in the files that define them, in no list."""

from __future__ import annotations

from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from inspect import isabstract
from typing import TYPE_CHECKING, Any

from bkdwidgets.core import arguments
from bkdwidgets.core.discovery import defined, modules, submodules
from bkdwidgets.core.errors import BkdError
from bkdwidgets.studies.study import ModelStudy, Study

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=1)
def studies() -> dict[str, Study]:
    """Return the studies of this package, and those of the widgets' folders."""
    homes = [*modules("bkdwidgets.studies"), *submodules("bkdwidgets.widgets", "study")]
    kinds = [kind for home in homes for kind in defined(home, Study)]
    found = [kind() for kind in kinds if kind is not Study and not isabstract(kind)]
    return {item.name: item for level in waves(found) for item in level}


def study(name: str) -> Study:
    """Return a study by name, or raise BkdError that lists the known ones."""
    return studies()[arguments.one_of("study", name, studies())]


def model_study(name: str) -> ModelStudy[Any]:
    """Return a study that asks models, or raise BkdError for another one."""
    found = study(name)
    if not isinstance(found, ModelStudy):
        raise BkdError(f"study {name!r} is made of ledger entries alone; bkdwidgets sweep writes it")
    return found


def waves(chosen: Iterable[Study]) -> list[list[Study]]:
    """Group studies so that each comes after those it needs; within a group they stand by name.

    What is needed and not among the chosen is taken to be there.

    Raises
    ------
    BkdError
        If studies need each other.
    """
    by_name = {item.name: item for item in chosen}
    sorter = TopologicalSorter({name: set(item.needs) & set(by_name) for name, item in by_name.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise BkdError(f"studies need each other: {', '.join(error.args[1])}") from error
    levels = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        levels.append([by_name[name] for name in ready])
        sorter.done(*ready)
    return levels
