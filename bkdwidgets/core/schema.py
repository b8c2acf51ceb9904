"""Reading JSON into dataclasses: every field is there, is of its type, and no other field is."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = TypeVar("Kind")


def json_object(text: bytes) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Raises
    ------
    ValueError
        If it holds none; one line says what is wrong and where.
    """
    return msgspec.json.decode(text, type=dict[str, Any])


def typed(stored: Mapping[str, Any], kind: type[Kind]) -> Kind:
    """Return an instance of a dataclass from plain values.

    Parameters
    ----------
    stored : mapping
        Field -> value.
    kind : type
        The dataclass; its annotations are checked.

    Raises
    ------
    ValueError
        If a field is missing, unknown or of another type; one line names it.
    """
    known: Any = kind
    unknown = [name for name in stored if name not in {item.name for item in fields(known)}]
    if unknown:
        raise ValueError(f"unknown field `{unknown[0]}`")
    return msgspec.convert(dict(stored), kind)
