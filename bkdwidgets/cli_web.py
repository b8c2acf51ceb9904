"""The command line of the live page: ``export-web``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkdwidgets.subjects import specs

if TYPE_CHECKING:
    import argparse


def add_verbs(verbs: Any) -> None:
    """Register the verbs of the live page with the parser of the command line."""
    export = verbs.add_parser("export-web", help="write a subject as files that a browser can run")
    export.add_argument("subject", help=specs.listed())
    export.add_argument("--out", type=Path, required=True, help="folder for the index and the parts")
    export.add_argument("--json", action="store_true", help="print one JSON object")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    from bkdwidgets.browser import export_web

    done = export_web(arguments.subject, arguments.out)
    lines = [
        f"folder    {done.folder}",
        f"adapters  {', '.join(done.adapters) or 'none'}",
        f"size      {done.n_bytes / 1e6:.1f} MB in {done.n_parts} parts",
    ]
    print(json.dumps(done.to_json()) if arguments.json else "\n".join(lines))
    return 0
