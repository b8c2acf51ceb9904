"""What a study is: settings, parts that can be computed apart, and how the parts become values.

A study is cut into parts of a minute or two. Parts know nothing of each other, so that they can run in
any order, in any process, and so that a killed sweep loses only the parts in flight. Everything that
travels (settings, parts, results) is plain JSON.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch

from bkdwidgets.attacks.control import control_path
from bkdwidgets.core.errors import BkdError
from bkdwidgets.injection.methods import PAPER_METHOD
from bkdwidgets.subjects import load
from bkdwidgets.subjects.adapters import adapter_info
from bkdwidgets.subjects.specs import spec_or_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from _typeshed import DataclassInstance

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry
    from bkdwidgets.subjects import Subject

Plain = dict[str, Any]
Part = dict[str, Any]
Values = dict[str, Any]
Size = TypeVar("Size")

PART_ROWS = 640
"""Answers that make up one part: a few seconds on nano, one to two minutes on smollm2."""


S = TypeVar("S", bound="DataclassInstance")
"""The settings of a study: a frozen dataclass of plain values."""


@dataclass(frozen=True, eq=False)
class Context(Generic[S]):
    """What a part may look at.

    Attributes
    ----------
    subject : Subject
        The backdoored subject; the clean one where the study plants its own.
    attack : Attack
        Its attack.
    settings : dataclass
        Every setting of the study, resolved.
    inputs : dict
        Values of the studies this one needs, by study name.
    progress : bool
        Show progress bars inside the part.
    """

    subject: Subject
    attack: Attack
    settings: S
    inputs: dict[str, Values]
    progress: bool = False

    @property
    def clean(self) -> Subject:
        """The control; see :mod:`bkdwidgets.attacks.control`."""
        dtype = str(self.subject.dtype).removeprefix("torch.")
        twin = control_path(self.subject, self.attack)
        return cached_load(self.subject.name, twin, str(self.subject.device), dtype)


class Study(ABC):
    """A named way to look at what was planted.

    Attributes
    ----------
    name : str
        What users type, and the last part of the entry's name.
    scope : {"adapter", "family", "derived"}
        What an entry is about: one adapter; an attack on a subject, with the clean subject at hand
        (:mod:`bkdwidgets.studies.family`); or other entries of such a family, with no model at all.
    revision : int
        Raised when the code gives other numbers: entries and cached parts of an older one are out of date.
    needs : tuple of str
        Studies whose values this one is computed from.
    split : str
        Split of the prompts that the reported values come from.
    tolerance : dict
        See :class:`bkdwidgets.core.ledger.Entry`.
    """

    name: ClassVar[str]
    scope: ClassVar[str] = "adapter"
    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    split: ClassVar[str] = "test"
    tolerance: ClassVar[dict[str, float]]

    def applies(self, attack: Attack, method: str = PAPER_METHOD) -> bool:  # noqa: ARG002
        """Tell whether the study has a question to ask of this attack, planted by this method."""
        return True


class DerivedStudy(Study):
    """A study that is made of other entries alone."""

    scope = "derived"

    @abstractmethod
    def derive(self, subject: str, attack: str, method: str, folder: Path | None = None) -> Entry:
        """Make the entry of a family: the adapters of an attack by one method.

        Raises
        ------
        MissingError
            If the entries that it is made of are not there.
        DamagedError
            If one of them is damaged.
        """


class ModelStudy(Study, Generic[S]):
    """A study that asks models: the backdoored one and its control, or those that it plants itself.

    Attributes
    ----------
    settings_type : type
        Frozen dataclass of its settings, plain values all of them.
    """

    settings_type: ClassVar[type[Any]]

    @abstractmethod
    def settings(self, subject: Subject, attack: Attack) -> S:
        """Return the settings that are used when none are given."""

    def check(self, subject: Subject, attack: Attack, settings: S) -> None:
        """Refuse settings that make no sense for this subject, by BkdError."""

    def parts(self, subject: Subject, settings: S) -> list[Part]:  # noqa: ARG002
        """Return what can be computed apart."""
        return [{}]

    @abstractmethod
    def compute(self, context: Context[S], part: Part) -> Values:
        """Compute one part."""

    def combine(self, context: Context[S], results: Sequence[Values]) -> Values:  # noqa: ARG002
        """Make the values of the entry out of the results of all parts, in their order."""
        return results[0]

    def typed(self, plain: Plain) -> S:
        """Return settings that were stored or sent as plain values."""
        found: S = self.settings_type(**plain)
        return found

    def resolve(self, subject: Subject, attack: Attack, given: Plain) -> S:
        """Return the settings with what is given in place of the usual, checked.

        Raises
        ------
        BkdError
            If a setting is unknown or makes no sense.
        """
        usual = self.settings(subject, attack)
        known = [field.name for field in fields(usual)]
        for key in given:
            if key not in known:
                raise BkdError(f"study {self.name!r} has no setting {key!r}; known: {', '.join(known)}")
        settings = replace(usual, **given)
        self.check(subject, attack, settings)
        return settings


def available(subject: Subject, attack: Attack, split: str, wanted: int) -> int:
    """Return `wanted`, or the number of target prompts if there are fewer."""
    return min(wanted, len(attack.targeted(subject, split)))


def check_count(what: str, value: object, most: int, least: int = 1) -> None:
    """Refuse a number outside its range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BkdError(f"{what}={value!r} is out of range; {least} to {most}")


def check_choices(what: str, values: object, known: Sequence[Any] | None = None) -> None:
    """Refuse an empty list, a repeated item, and (where `known` is given) an unknown one."""
    if not isinstance(values, (list, tuple)) or not values:
        raise BkdError(f"{what}={values!r} is not allowed; a list with at least one item")
    for item in values:
        if values.count(item) > 1:
            raise BkdError(f"{what}={list(values)}: {item!r} is named twice; each once")
        if known is not None and item not in known:
            raise BkdError(f"{what}={list(values)}: {item!r} is unknown; known: {', '.join(map(str, known))}")


def sized(subject: Subject, sizes: Mapping[str, Size]) -> Size:
    """Return the one of a study's two sizes that a subject's budget allows, ``"fast"`` or ``"usual"``."""
    return sizes[spec_or_plain(subject.name).budget]


def slices(n: int, size: int) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into pieces of at most `size`.

    Examples
    --------
    >>> slices(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    size = max(1, size)
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def cached_load(name: str, adapter: str | Path | None, device: str | None, dtype: str) -> Subject:
    """Load a subject, or return it if it is one of the last three that were asked for.

    Three are a backdoored subject, its control, and the other attack that probes are tested on.
    """
    usual = "cuda" if torch.cuda.is_available() else "cpu"
    planted = adapter_info(name, adapter).sha256 if adapter is not None else None
    return _loaded(name, adapter, planted, device or usual, dtype)


@lru_cache(maxsize=3)
def _loaded(name: str, adapter: str | Path | None, _planted: str | None, device: str, dtype: str) -> Subject:
    """Load a subject; the hash of what is planted is part of the key, since a file can be made anew."""
    return load(name, adapter=adapter, device=device, dtype=dtype)
