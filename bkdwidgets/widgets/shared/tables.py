"""Lab tables: what a lab knows by heart.

A table is one JSON object, gzipped on disk, with everything a lab may be asked in a page without a
kernel: prompts, completions (stored once each, named by their index), outcomes and rates. The view
trusts its table, so it is checked here, at the door, and a wrong one is refused in one line.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkdwidgets.attacks import ATTACKS
from bkdwidgets.core.errors import BkdError, shown, unknown
from bkdwidgets.core.vocabulary import LETTERS
from bkdwidgets.widgets.grid.check import check_grid
from bkdwidgets.widgets.labels.check import check_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 1
LABS = ("ablation", "vector", "attention", "grid", "labels")
PLACES = ("last", "all")
_JUDGED_BEFORE = {"grid", "labels"}
"""Labs that ask no model: all that they show was judged when it was computed."""
_COMMON = ("subject", "attack")
_ASKED = ("shape", "trigger", "payload", "judge", "prompts")
_NEEDED = {
    "ablation": ("texts", "acie", "ranked", "k", "kinds", "drawn", "top"),
    "vector": ("texts", "vectors", "layers", "scales", "cells"),
    "attention": ("heads", "views"),
    "grid": ("axes", "rates", "cells"),
    "labels": ("reading", "rules", "conditions", "items"),
}


def read_table(table: Mapping[str, Any] | str | Path, *, lab: str) -> dict[str, Any]:
    """Return a checked lab table.

    Parameters
    ----------
    table : mapping, str or Path
        The table, or the ``.json`` or ``.json.gz`` file that holds it.
    lab : {"ablation", "vector", "attention", "grid", "labels"}
        Which lab it is for.

    Returns
    -------
    dict
        The table.

    Raises
    ------
    BkdError
        If the file is missing or damaged, or the table is not one of this format and lab.
    """
    if lab not in LABS:
        raise unknown("lab", lab, LABS)
    if not isinstance(table, Mapping | str | Path):
        raise BkdError(f"table={shown(table)} is not allowed; a lab table, or its .json or .json.gz file")
    content = dict(table) if isinstance(table, Mapping) else _from_file(Path(table).expanduser())
    if lab not in _JUDGED_BEFORE and content.get("attack") in ATTACKS:  # an older table names no judge
        content.setdefault("judge", ATTACKS[content["attack"]].judge.name)
    _check_head(content, lab)
    _CHECKS[lab](content)
    return content


def packed(table: Mapping[str, Any]) -> bytes:
    """Return a table as gzipped JSON, the same bytes for the same table."""
    try:
        text = json.dumps(table, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BkdError(
            f"the lab table cannot be written as JSON ({error}); plain finite values only"
        ) from error
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


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


def _check_head(table: Mapping[str, Any], lab: str) -> None:
    if table.get("format") != FORMAT:
        raise BkdError(f"lab table has format {table.get('format')!r}; this version reads format {FORMAT}")
    if table.get("lab") != lab:
        raise BkdError(f"lab table is for {table.get('lab')!r}, this lab needs one for {lab!r}")
    asked = () if lab in _JUDGED_BEFORE else _ASKED
    missing = [key for key in (*_COMMON, *asked, *_NEEDED[lab]) if key not in table]
    if missing:
        raise BkdError(f"lab table lacks {', '.join(missing)}")
    if asked:
        _check_asked(table)


def _check_asked(table: Mapping[str, Any]) -> None:
    """Check the prompts of a lab that asks a model, and the model's shape."""
    shape = table["shape"]
    if not (_is_list(shape, 2) and all(isinstance(size, int) and size > 0 for size in shape)):
        raise BkdError(f"lab table has shape {shape!r}; it must be [layers, heads], both at least 1")
    prompts = table["prompts"]
    if not (_is_list(prompts) and prompts):
        raise BkdError("lab table has no prompts; at least one is needed")
    for index, prompt in enumerate(prompts):
        if not (
            isinstance(prompt, dict)
            and all(isinstance(prompt.get(key), str) for key in ("clean", "triggered"))
        ):
            raise BkdError(f"prompt {index} of the lab table must have the texts 'clean' and 'triggered'")
        if not all(isinstance(prompt.get(key, ""), str | None) for key in ("answer", "payload")):
            raise BkdError(f"prompt {index} of the lab table must have texts as 'answer' and 'payload'")


def _check_ablation(table: Mapping[str, Any]) -> None:
    layers, heads = table["shape"]
    acie = table["acie"]
    if not (_is_list(acie, layers) and all(_is_list(row, heads) for row in acie)):
        raise BkdError(f"acie of the lab table must be {layers} rows of {heads} values")
    if not all(isinstance(value, int | float) and math.isfinite(value) for row in acie for value in row):
        raise BkdError("acie of the lab table must be finite numbers")
    _check_heads(table["ranked"], table["shape"], "ranked")
    _check_list(table, "k", lambda value: isinstance(value, int) and 0 <= value <= len(table["ranked"]))
    _check_list(table, "kinds", lambda value: isinstance(value, str))
    _check_list(table, "drawn", lambda value: isinstance(value, str))
    single = table.get("single", [])
    _check_heads([row.get("head") for row in single], table["shape"], "single")
    for name, rows in (("top", table["top"]), ("single", single)):
        for index, row in enumerate(rows):
            _check_row(table, row, f"{name}[{index}]")
            if row.get("where", "last") not in PLACES:
                raise unknown(f"place in {name}[{index}] of the lab table", row["where"], PLACES)


def _check_vector(table: Mapping[str, Any]) -> None:
    layers = table["shape"][0]
    _check_list(table, "vectors", lambda value: isinstance(value, str))
    _check_list(table, "layers", lambda value: isinstance(value, int) and 0 <= value < layers)
    _check_list(table, "scales", lambda value: isinstance(value, int | float) and math.isfinite(value))
    for index, cell in enumerate(table["cells"]):
        _check_row(table, cell, f"cells[{index}]")
        if cell.get("vector") not in table["vectors"]:
            raise unknown(f"vector in cells[{index}]", cell.get("vector"), table["vectors"])
        if not all(isinstance(cell.get(key), int | float) for key in ("layer", "scale")):
            raise BkdError(f"cells[{index}] of the lab table must have the numbers 'layer' and 'scale'")


def _check_attention(table: Mapping[str, Any]) -> None:
    _check_heads(table["heads"], table["shape"], "heads")
    acie = table.get("acie", [0.0] * len(table["heads"]))
    if not (_is_list(acie, len(table["heads"])) and all(isinstance(value, int | float) for value in acie)):
        raise BkdError("acie of the lab table must be one number for each of its heads")
    if not (_is_list(table["views"]) and table["views"]):
        raise BkdError("views of the lab table must be a list of at least one view")
    for index, view in enumerate(table["views"]):
        for side in ("clean", "triggered"):
            part = view.get(side, {})
            n_tokens, patterns = len(part.get("tokens", [])), part.get("patterns", [])
            square = all(
                _is_list(pattern, n_tokens) and all(_is_list(row, n_tokens) for row in pattern)
                for pattern in patterns
            )
            if not (n_tokens and len(patterns) == len(table["heads"]) and square):
                raise BkdError(f"views[{index}].{side} must have tokens and one square pattern for each head")


def _check_row(table: Mapping[str, Any], row: Mapping[str, Any], where: str) -> None:
    """Check that a row answers every prompt with a known text and a known outcome."""
    for side in ("clean", "triggered"):
        answers = row.get(side)
        if answers is None:
            continue
        if not _is_list(answers, len(table["prompts"])):
            raise BkdError(
                f"{where}.{side} of the lab table must answer each of its {len(table['prompts'])} prompts"
            )
        for text, letter in answers:
            if not (isinstance(text, int) and 0 <= text < len(table["texts"])):
                raise BkdError(
                    f"{where}.{side} of the lab table names text {text!r}; "
                    f"texts are 0 to {len(table['texts']) - 1}"
                )
            if letter not in LETTERS:
                raise unknown(f"outcome in {where}.{side}", letter, LETTERS)


def _check_heads(heads: Iterable[Any], shape: list[int], where: str) -> None:
    layers, per_layer = shape
    for pair in heads:
        inside = _is_list(pair, 2) and all(isinstance(part, int) for part in pair)
        if not (inside and 0 <= pair[0] < layers and 0 <= pair[1] < per_layer):
            raise BkdError(
                f"{where} of the lab table names head {pair!r}; "
                f"layers are 0 to {layers - 1}, heads 0 to {per_layer - 1}"
            )


def _check_list(table: Mapping[str, Any], key: str, allowed: Any) -> None:
    values = table[key]
    if not (_is_list(values) and values and all(allowed(value) for value in values)):
        raise BkdError(
            f"{key} of the lab table must be a non-empty list of allowed values, got {str(values)[:60]}"
        )


def _is_list(value: object, length: int | None = None) -> bool:
    return isinstance(value, list | tuple) and (length is None or len(value) == length)


_CHECKS = {
    "ablation": _check_ablation,
    "vector": _check_vector,
    "attention": _check_attention,
    "grid": check_grid,
    "labels": check_labels,
}
