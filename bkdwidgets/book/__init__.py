"""Build the published book and serve it from the reader's own machine.

The book is a static site that asks no other host for anything: every script, font and style that a
page needs is copied beside it. The steps, each in its own module:

``vendor``
    gathers the browser files of others (pinned and checked by hash, never committed);
``licenses``
    collects the license text of everything that ships;
``page``
    is the Sphinx extension that shapes the pages;
``switch``
    is the small demonstration on the home page, drawn from a shipped lab table;
``numbers``
    puts results of the ledger into the text, with ``findings`` (the report), ``quoted`` (numbers of others),
    ``entries`` (the reproducibility appendix), ``verbs`` (the API reference) and ``citing``;
``edition``
    makes the notebooks that readers take away from the chapters: ``plain`` turns MyST into Markdown,
    ``references`` says what its roles and links lead to, ``addresses`` where the project can be read;
``builder``
    runs the whole thing, with warnings and failing cells as errors;
``server``
    serves a built book on the loopback interface.
"""

from __future__ import annotations

from bkdwidgets.book.builder import build
from bkdwidgets.book.server import serve

__all__ = ["build", "serve"]
