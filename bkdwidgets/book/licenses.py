"""Collect the license text of everything by others that ships in the built book.

Most packages bring their license; those are copied as they are. Some npm packages only name it
(``"license": "MIT"``): for those the standard text is written with the author the package names. And
CircuitsVis' bundle contains other packages without saying so; its source map lists them.
"""

from __future__ import annotations

import html
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from bkdwidgets.core.errors import BkdError

PIP_PACKAGES = (
    "anywidget",
    "circuitsvis",
    "ipywidgets",
    "jupyter-book",
    "myst-nb",
    "plotly",
    "pydata-sphinx-theme",
    "pygments",
    "sphinx",
    "sphinx-book-theme",
    "sphinx-copybutton",
    "sphinx-design",
    "sphinx-togglebutton",
)
"""Python packages whose scripts, styles or templates are part of the pages."""

IN_CIRCUITSVIS_ONLY_NAMED = {"tensorflow.js (inside CircuitsVis)": "Google LLC"}
"""Parts of the CircuitsVis bundle too large to fetch for their license text; Apache-2.0."""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Licenses of what this book ships</title>
<link rel="icon" href="../_static/favicon.svg"><link rel="stylesheet" href="../_static/plain.css"></head>
<body><main><h1>Licenses of what this book ships</h1>
<p><a href="../index.html">Back to the book</a></p>
<p>The pages carry scripts, styles and fonts by others. Each is listed with its version and its license.</p>
<ul>
{rows}
</ul></main></body></html>
"""


def collect(modules: Path, lock: Path, out: Path) -> list[str]:
    """Write one license text for each package that ships, and an index page.

    Parameters
    ----------
    modules : Path
        The ``node_modules`` folder.
    lock : Path
        The ``package-lock.json`` it was installed from.
    out : Path
        The folder to fill.

    Returns
    -------
    list of str
        The names of the packages, as listed on the index page.

    Raises
    ------
    BkdError
        If a package neither brings nor names a license that is known.
    """
    out.mkdir(parents=True)
    apache = (modules / "long" / "LICENSE").read_text(encoding="utf-8")
    texts: dict[str, str] = {}
    for folder in shipped_npm(lock):
        meta = json.loads((modules / folder / "package.json").read_text(encoding="utf-8"))
        texts[f"{meta['name']} {meta['version']} (npm)"] = _npm_text(modules / folder, meta, apache)
    for package in PIP_PACKAGES:
        version = importlib.metadata.version(package)
        texts[f"{package} {version} (PyPI)"] = _pip_text(package)
    for name, author in IN_CIRCUITSVIS_ONLY_NAMED.items():
        texts[name] = f"Copyright {author}\nLicensed under the Apache License, Version 2.0.\n\n{apache}"
    _write(texts, out)
    return sorted(texts)


def shipped_npm(lock: Path) -> list[str]:
    """Return the packages, as folders in ``node_modules``, whose code is in what the book ships.

    Everything the dependencies pull in may sit in their bundles; of the ``devDependencies`` only
    the packages named there (they sit in CircuitsVis' bundle) do.
    """
    packages: dict[str, dict[str, Any]] = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    named = set(packages[""].get("devDependencies", {}))
    folders = [
        path.removeprefix("node_modules/")
        for path, entry in packages.items()
        if path and not entry.get("dev")
    ]
    return sorted({*folders, *named})


def _npm_text(folder: Path, meta: dict[str, Any], apache: str) -> str:
    found = _license_files(folder)
    if found:
        return "\n\n".join(path.read_text(encoding="utf-8", errors="replace") for path in found)
    author = _author(meta)
    head = f"{meta['name']} brings no license file; it names the license {meta.get('license')}.\n\n"
    if meta.get("license") == "BSD-3-Clause":
        return head + _BSD3.format(author=author)
    if meta.get("license") == "MIT":
        return head + _MIT.format(author=author)
    if meta.get("license") == "Apache-2.0":
        return head + f"Copyright {author}\n\n" + apache
    raise BkdError(f"the npm package {meta['name']} has no license text; it names {meta.get('license')!r}")


def _author(meta: dict[str, Any]) -> str:
    author = meta.get("author") or f"the authors of {meta['name']}"
    name: str = author.get("name", "") if isinstance(author, dict) else author
    return name.split("<", maxsplit=1)[0].strip() or f"the authors of {meta['name']}"


def _pip_text(package: str) -> str:
    files = importlib.metadata.files(package) or []
    found = [
        Path(str(file.locate())) for file in files if _is_license(file.name) and ".dist-info" in str(file)
    ]
    if not found:
        raise BkdError(f"the Python package {package} brings no license file")
    return "\n\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(found))


def _license_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_license(path.name))


def _is_license(name: str) -> bool:
    return name.lower().startswith(("license", "licence", "copying", "notice")) and not name.endswith(".js")


def _write(texts: dict[str, str], out: Path) -> None:
    rows = []
    for name, text in sorted(texts.items(), key=lambda item: item[0].lower()):
        file = (
            "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in name).strip("_")
            + ".txt"
        )
        (out / file).write_text(f"{name}\n\n{text.strip()}\n", encoding="utf-8")
        rows.append(f'<li><a href="{html.escape(file)}">{html.escape(name)}</a></li>')
    (out / "index.html").write_text(_PAGE.format(rows="\n".join(rows)), encoding="utf-8")


_MIT = """MIT License

Copyright (c) {author}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE
USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_BSD3 = """BSD 3-Clause License

Copyright (c) {author}
All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided
that the following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the
   following disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and
   the following disclaimer in the documentation and/or other materials provided with the distribution.
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or
   promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED
WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A
PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY
DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO,
PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION)
HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING
NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
POSSIBILITY OF SUCH DAMAGE.
"""
