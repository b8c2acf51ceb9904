"""The tables that the labs of the published book answer from, made of ledger entries and of nothing else.

A static page has no kernel. What its labs can be asked was computed once, on held-out prompts, by the lab
studies; a table only rearranges their entries for the page.
"""

from bkdwidgets.tables.assemble import LABS, lab_table
from bkdwidgets.tables.vectors import compute_vectors, vectors_path

__all__ = ["LABS", "compute_vectors", "lab_table", "vectors_path"]
