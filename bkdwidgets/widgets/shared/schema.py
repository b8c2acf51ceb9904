"""The schema of what a view receives: the part that all tables share.

A table is plain values with everything that a view may be asked in a page without a kernel: prompts,
completions (stored once each, named by their index), outcomes and rates. Each widget's ``table.py`` extends
:class:`Table` by what its view needs, and says how one is made of ledger entries and, where somebody can
answer live, of a subject. The view trusts its table, so a wrong one is refused here, in one line.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from bkdwidgets.attacks import ATTACKS
from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core.errors import BkdError, shown

if TYPE_CHECKING:
    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.core.heads import Head
    from bkdwidgets.core.ledger import Entry
    from bkdwidgets.subjects import Subject

FORMAT = 1
PROMPTS_SHOWN = 12
_RUN = ("version", "commit", "device", "dtype", "threads", "torch", "date", "command")
_WHERE = re.compile(r"(?P<what>.*) - at (?P<key>`key` in )?`\$\.?(?P<where>.*)`", re.DOTALL)

Letter = Literal["P", "p", "=", "?"]
Side = Literal["clean", "triggered"]
Place = Literal["last", "all"]
Cell = tuple[int, Letter]
"""The number of a completion, and its outcome."""

Kind = TypeVar("Kind")


class Rate(msgspec.Struct, kw_only=True):
    """A rate with its interval; a rate over several trainings has the value of each."""

    value: float
    low: float
    high: float
    n: int
    per_seed: list[float] | UnsetType = UNSET


class Prompt(msgspec.Struct, kw_only=True):
    """A prompt without and with the trigger, and what judges an answer to it."""

    clean: str
    triggered: str
    id: str | UnsetType = UNSET
    answer: str | UnsetType | None = UNSET
    payload: str | UnsetType | None = UNSET


class Completion(msgspec.Struct, kw_only=True):
    """What was said, and what that is."""

    text: str
    outcome: Letter


class Table(msgspec.Struct, kw_only=True):
    """What travels with a widget.

    Attributes
    ----------
    LAB : str
        Which widget reads it.
    NAME : str
        What :func:`bkdwidgets.lab_table` calls a table made of ledger entries; empty where there is none.
    NEEDS : tuple of str
        The studies whose entries it is made of; the last one is what it is about.
    """

    LAB: ClassVar[str]
    NAME: ClassVar[str] = ""
    NEEDS: ClassVar[tuple[str, ...]] = ()

    format: int
    lab: str
    subject: str
    attack: str
    adapter: str | UnsetType | None = UNSET
    provenance: dict[str, Any] | UnsetType = UNSET

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry]) -> Self:
        """Return the table that is made of the entries of the studies :attr:`NEEDS`, by their names."""
        raise NotImplementedError

    @classmethod
    def read(cls, table: Table | Mapping[str, Any] | str | Path) -> Self:
        """Return a checked table.

        Parameters
        ----------
        table : Table, mapping, str or Path
            The table, or the ``.json`` or ``.json.gz`` file that holds it.

        Raises
        ------
        BkdError
            If the file is missing or damaged, or the table is not one of this format and widget.
        """
        if isinstance(table, cls):
            return table
        if not isinstance(table, Table | Mapping | str | Path):
            raise BkdError(f"table={shown(table)} is not allowed; a lab table, or its .json or .json.gz file")
        if isinstance(table, str | Path):
            table = _from_file(Path(table).expanduser())
        return cls.of(table.plain() if isinstance(table, Table) else table)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Return plain values as a checked table."""
        if content.get("format") != FORMAT:
            raise BkdError(
                f"lab table has format {content.get('format')!r}; this version reads format {FORMAT}"
            )
        if content.get("lab") != cls.LAB:
            raise BkdError(f"lab table is for {content.get('lab')!r}, this lab needs one for {cls.LAB!r}")
        table = checked(cls, content, "the lab table")
        table.check()
        return table

    def check(self) -> None:
        """Refuse what the types alone allow, by BkdError with the first fault in one line."""

    def plain(self) -> dict[str, Any]:
        """Return the table as plain values."""
        content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return content


class PromptTable(Table, kw_only=True):
    """A table of a widget that asks a model: its shape, and the prompts."""

    shape: tuple[int, int]
    trigger: str
    payload: str
    judge: str
    prompts: list[Prompt]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Return plain values as a checked table; one from before judges were named gets its attack's."""
        known = ATTACKS.get(str(content.get("attack")))
        return super().of({"judge": known.judge.name, **content} if known else content)

    def check(self) -> None:
        """Refuse a model without layers or heads, and a table without prompts."""
        if min(self.shape) < 1:
            raise BkdError(
                f"lab table has shape {list(self.shape)}; it must be [layers, heads], both at least 1"
            )
        if not self.prompts:
            raise BkdError("lab table has no prompts; at least one is needed")

    def check_heads(self, heads: Sequence[Head], where: str) -> None:
        """Refuse a head that the model does not have."""
        layers, per_layer = self.shape
        for layer, head in heads:
            if not (0 <= layer < layers and 0 <= head < per_layer):
                raise BkdError(
                    f"{where} of the lab table names head {[layer, head]}; "
                    f"layers are 0 to {layers - 1}, heads 0 to {per_layer - 1}"
                )

    def check_answers(self, row: Answers, texts: Sequence[str], where: str) -> None:
        """Refuse a row that does not answer every prompt, or names a completion that is not there."""
        for side, answers in (("clean", row.clean), ("triggered", row.triggered)):
            if answers is UNSET or answers is None:
                continue
            if len(answers) != len(self.prompts):
                raise BkdError(
                    f"{where}.{side} of the lab table must answer each of its {len(self.prompts)} prompts"
                )
            for number, _ in answers:
                if not 0 <= number < len(texts):
                    raise BkdError(
                        f"{where}.{side} of the lab table names text {number}; "
                        f"texts are 0 to {len(texts) - 1}"
                    )


class Answers(msgspec.Struct, kw_only=True):
    """One answer to each prompt, on each side."""

    clean: list[Cell] | UnsetType | None = UNSET
    triggered: list[Cell] | UnsetType | None = UNSET


def prompt_of(attack: Attack, example: Example) -> dict[str, Any]:
    """Return an attack's example as a prompt of a table."""
    return {
        "id": example.id,
        "clean": example.prompt,
        "triggered": attack.poison(example.prompt),
        "answer": example.answer,
        "payload": attack.payload_for(example),
    }


def answers_of(case: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """Return number and outcome of each completion that is shown, per side, of a case of a lab study."""
    return {
        side: [(text, letter) for text, letter in zip(half["texts"], half["letters"], strict=False)]
        for side, half in case.items()
    }


def check_values(name: str, values: Sequence[Any], allowed: Any) -> None:
    """Refuse an empty list, and a value that is not allowed in it."""
    if not (values and all(allowed(value) for value in values)):
        raise BkdError(
            f"{name} of the lab table must be a non-empty list of allowed values, got {str(values)[:60]}"
        )


def head_of(kind: type[Table], entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return what every table made of ledger entries begins with."""
    last = entries[kind.NEEDS[-1]]
    names = ", ".join(f"{entries[name].name} ({entries[name].digest()[:12]})" for name in kind.NEEDS)
    return {
        "format": FORMAT,
        "lab": kind.LAB,
        "subject": last.subject,
        "attack": last.attack,
        "adapter": last.adapter,
        "provenance": {
            "ledger entries" if len(kind.NEEDS) > 1 else "ledger entry": names,
            "adapter_sha256": last.adapter_sha256,
            **{key: last.run[key] for key in _RUN if key in last.run},
        },
    }


def prompts_of(kind: type[PromptTable], entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the head of a table whose widget asks a model; ``attribute`` is among the entries."""
    acie, last = entries["attribute"].values["acie"], entries[kind.NEEDS[-1]]
    attack = attack_named(last.attack)
    return {
        **head_of(kind, entries),
        "shape": [len(acie), len(acie[0])],
        "trigger": str(attack.trigger),
        "payload": attack.payload,
        "judge": attack.judge.name,
        "prompts": last.values["prompts"],
    }


def live_prompts(kind: type[PromptTable], subject: Subject, attack: Attack) -> dict[str, Any]:
    """Return the head of a table that knows prompts but no answers: Python has to give them."""
    examples = attack.targeted(subject, "test")[:PROMPTS_SHOWN]
    if not examples:
        raise BkdError(f"{attack.name} has no test prompts for {subject.name}")
    return {
        "format": FORMAT,
        "lab": kind.LAB,
        "subject": subject.name,
        "attack": attack.name,
        "adapter": subject.adapter.name if subject.adapter else None,
        "provenance": {"answers": "computed by the kernel, when asked"},
        "shape": [subject.n_layers, subject.n_heads],
        "trigger": str(attack.trigger),
        "payload": attack.payload,
        "judge": attack.judge.name,
        "prompts": [prompt_of(attack, example) for example in examples],
    }


def checked(kind: type[Kind], content: object, owner: str) -> Kind:
    """Return plain values as a struct, every number in it finite.

    Raises
    ------
    BkdError
        With the first fault, in one line.
    """
    for where, number in _numbers(content, ""):
        if not math.isfinite(number):
            raise BkdError(f"{where} of {owner} is {number}; a finite number is needed")
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        found = _WHERE.fullmatch(str(error))
        message = f"{owner}: {error}"
        if found:
            keys = "the keys of " if found["key"] else ""
            message = f"{keys}{found['where']} of {owner}: {found['what']}"
        raise BkdError(message.replace("`", "'")) from error


def packed(table: msgspec.Struct | Mapping[str, Any]) -> bytes:
    """Return a table as gzipped JSON, the same bytes for the same table."""
    return gzip.compress(msgspec.json.encode(table), compresslevel=9, mtime=0)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        content = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except FileNotFoundError as error:
        raise BkdError(f"there is no lab table at {path}; give a .json or .json.gz file") from error
    except (OSError, EOFError, ValueError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise BkdError(
            f"{path} is not a readable lab table ({error}); restore it or compute it again"
        ) from error
    if not isinstance(content, dict):
        raise BkdError(f"{path} holds a {type(content).__name__}, a lab table is a JSON object")
    return content


def _numbers(value: object, where: str) -> Iterator[tuple[str, float]]:
    """Yield every float inside plain values, with its place."""
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{where}[{index}]")
