"""The subjects that ship, one file each. A subject that is not among them has a spec without knowledge."""

from __future__ import annotations

from bkdwidgets.core import arguments
from bkdwidgets.subjects.spec import SubjectSpec, named
from bkdwidgets.subjects.specs.nano import NANO
from bkdwidgets.subjects.specs.smollm2 import SMOLLM2

SUBJECTS: dict[str, SubjectSpec] = {spec.name: spec for spec in (NANO, SMOLLM2)}
"""By name, in the order of menus and pages."""

EXAMPLE = f'bkd.load("{NANO.name}")'
"""How a message shows where a subject comes from."""


def spec_of(name: object) -> SubjectSpec:
    """Return the spec of a subject, or raise BkdError that lists the known ones."""
    return SUBJECTS[arguments.one_of("subject", name, SUBJECTS)]


def spec_or_plain(name: str) -> SubjectSpec:
    """Return the spec of a subject, or for one that was made by hand a spec that claims nothing."""
    return SUBJECTS.get(name) or SubjectSpec(name)


def listed() -> str:
    """Return the names of the subjects with what they are, on one line."""
    return "; ".join(f"{name}: {spec.description}" for name, spec in SUBJECTS.items())


def prepare() -> None:
    """Fetch and convert the weights of every subject that has to be fetched, unless they are there."""
    for spec in SUBJECTS.values():
        if spec.prepare is not None:
            named(spec.prepare)()


def subjects_with_page() -> tuple[str, ...]:
    """Return the names of the subjects that readers have in their pages."""
    return tuple(name for name, spec in SUBJECTS.items() if spec.page is not None)


def subjects_of_budget(budget: str) -> tuple[str, ...]:
    """Return the names of the subjects on which a study may spend so much."""
    return tuple(name for name, spec in SUBJECTS.items() if spec.budget == budget)
