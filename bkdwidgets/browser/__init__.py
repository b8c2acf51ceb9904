"""The subject itself in a reader's browser: what is sent there, and the code that runs it.

``pack``
    turns weights into the few layouts that the browser reads, without losing a bit;
``parts``
    cuts them into files that a download can resume at, each known by its SHA-256;
``weights``
    finds a subject's weights as they are stored, not as they are computed with;
``tokenizer``
    writes the tokenizer down so that JavaScript cuts text where Python does;
``planted``
    finds the adapters that go with a subject, and what the labs need beside them;
``vectors``
    computes those, and stores them;
``export``
    writes the folder of a subject, and keeps it, so that it is packed once;
``site``
    puts everything that a page needs into one folder;
``js``
    the modules that run there: the download, the worker, and the client for widgets;
``runtime``
    the C that computes, and the WebAssembly made of it.
"""

from bkdwidgets.browser.export import WebExport, export_web
from bkdwidgets.browser.site import write_site

__all__ = ["WebExport", "export_web", "write_site"]
