"""The tables that the labs of the published book answer from.

A static page has no kernel. What its labs can be asked is computed once, here, on held-out prompts,
and ships in ``data/labs/`` with its provenance; the build only embeds it.
"""

from bkdwidgets.tables.compute import compute_tables
from bkdwidgets.tables.files import table_path

__all__ = ["compute_tables", "table_path"]
