"""The tables of all widgets, found where they are defined: in the ``table.py`` of each widget's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.discovery import defined, submodules
from bkdwidgets.core.paths import check_name
from bkdwidgets.widgets.shared.schema import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def table_kinds() -> list[type[Table]]:
    """Return the kinds of tables that the widgets define."""
    return [kind for module in submodules("bkdwidgets.widgets", "table") for kind in defined(module, Table)]


def made_tables() -> dict[str, type[Table]]:
    """Return the kinds that are made of ledger entries, by the names that :func:`lab_table` knows."""
    return {kind.NAME: kind for kind in table_kinds() if kind.NAME}


def lab_table(subject: str, adapter: str, lab: str, *, folder: Path | None = None) -> dict[str, Any]:
    """Return what a lab of the published page answers from.

    Parameters
    ----------
    subject, adapter : str
        For example ``"smollm2"`` and ``"fixed-output-sft-0"``; for ``"poison"`` the family,
        ``"fixed-output-sft"``.
    lab : {"ablation", "vector", "attention", "restoration", "poison", "labels"}
        Which lab; ``"restoration"`` and ``"poison"`` are for :class:`GridLab`, ``"labels"`` for
        :class:`LabelLab`.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``.

    Returns
    -------
    dict
        Plain values in the form that the widgets read.

    Raises
    ------
    BkdError
        If the lab is unknown, or an entry was never computed; the message names the command.
    """
    kind = made_tables()[arguments.one_of("lab", lab, made_tables())]
    check_name("subject", subject)
    check_name("adapter", adapter)
    folder = arguments.folder("folder", folder)
    entries = {name: ledger.read(f"{subject}/{adapter}/{name}", folder) for name in kind.NEEDS}
    return kind.from_entries(entries).plain()


def read_table(table: Table | Mapping[str, Any] | str | Path, *, lab: str) -> Table:
    """Return a checked lab table.

    Parameters
    ----------
    table : Table, mapping, str or Path
        The table, or the ``.json`` or ``.json.gz`` file that holds it.
    lab : {"ablation", "vector", "attention", "grid", "labels", "probe"}
        Which lab it is for.

    Returns
    -------
    Table
        Of the lab's own kind.

    Raises
    ------
    BkdError
        If the lab is unknown, the file is missing or damaged, or the table is not one of this format and lab.
    """
    kinds = {kind.LAB: _reader(kind) for kind in table_kinds()}
    return kinds[arguments.one_of("lab", lab, kinds)].read(table)


def _reader(kind: type[Table]) -> type[Table]:
    """Return the kind that says what a lab reads: of a maker's, the one it extends."""
    return next(item for item in reversed(kind.__mro__) if issubclass(item, Table) and "LAB" in vars(item))
