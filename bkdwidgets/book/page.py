"""The Sphinx extension that shapes the book's pages.

It does nine things that the theme and jupyter-book leave open:

* derives every link to the repository and to Colab from the one address in ``pyproject.toml``;
* moves the widgets' state out of the page into a file of its own, which ``page.js`` loads when a lab comes
  near (the state holds the labs' tables and is by far the largest part of a chapter);
* drops scripts that no page of ours uses: sphinx-thebe, which names another host, and Font Awesome's
  1.5 MB, of which the theme shows a dozen icons (``book.css`` draws those);
* drops MathJax, a third of what a first view loads, from pages without a formula;
* chooses light or dark before the first paint, in a script of its own;
* puts a line with the ways to run a chapter above its title;
* names the folder from which the page runs a subject (``bkd-live``);
* adds the directive of the home page's demonstration (`bkdwidgets.book.switch`);
* writes the Content-Security-Policy into each page of a finished build (`bkdwidgets.book.policy`).
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes  # type: ignore[import-untyped]

from bkdwidgets.book.policy import protect
from bkdwidgets.book.switch import Switch
from bkdwidgets.errors import BkdError

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

STATE_TYPE = "application/vnd.jupyter.widget-state+json"
BRANCH = "main"
_CHOOSE_THEME = re.compile(r"<script data-cfasync[^>]*>.*?</script>", re.DOTALL)
_THEBE_IN_TEXT = re.compile(
    r'<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = [^<]*</script>', re.DOTALL
)
_FONT_AWESOME = re.compile(r'\s*<script[^>]*src="[^"]*scripts/fontawesome\.js[^"]*"[^>]*></script>')


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("config-inited", _configure, priority=100)
    app.connect("html-page-context", _shape, priority=999)
    app.connect("build-finished", protect, priority=999)
    app.add_directive("switch", Switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def address(root: Path) -> str:
    """Return the repository's public address, from the one place that states it.

    Parameters
    ----------
    root : Path
        The folder with ``pyproject.toml``.

    Returns
    -------
    str
        For example ``https://github.com/owner/name``, without a slash at the end.

    Raises
    ------
    BkdError
        If ``[project.urls] Repository`` is missing or is no GitHub repository.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    url: str = project.get("urls", {}).get("Repository", "").rstrip("/")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise BkdError(
            f"pyproject.toml: [project.urls] Repository is {url!r}; a GitHub repository's address is needed"
        )
    return url


def colab(url: str) -> str:
    """Return the address under which Colab opens files of a GitHub repository.

    Examples
    --------
    >>> colab("https://github.com/owner/name")
    'https://colab.research.google.com/github/owner/name/blob/main/'
    """
    return f"{url.replace('https://github.com/', 'https://colab.research.google.com/github/')}/blob/{BRANCH}/"


def _configure(app: Sphinx, config: Config) -> None:
    """Let ``[text](colab:path)`` and ``[text](repo:path)`` in the prose mean links to the repository."""
    url = address(Path(app.srcdir))
    config.myst_url_schemes = {
        "http": None,
        "https": None,
        "mailto": None,
        "colab": colab(url) + "{{path}}",
        "repo": f"{url}/blob/{BRANCH}/" + "{{path}}",
    }
    config.html_theme_options |= {
        "repository_url": url,
        "repository_branch": BRANCH,
        "use_repository_button": False,  # a chapter's bar and the home page link there, in words
        "use_download_button": False,
        "use_fullscreen_button": False,
        "back_to_top_button": False,
        "navbar_persistent": [],
        "article_header_start": ["toggle-primary-sidebar.html", "brand.html"],
        "footer_content_items": ["book-footer.html"],
        "logo": {"text": config.project},
    }
    config.html_context |= {"default_mode": "auto"}
    config.bkd_address = url


def _shape(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    early = f'<script src="{context["pathto"]("_static/theme.js", 1)}"></script>'
    context["lighter_head"] = lambda head: _FONT_AWESOME.sub("", _CHOOSE_THEME.sub(early, head))
    context["bkd_address"] = app.config.bkd_address
    context["page_class"] = "bkd-home-page" if pagename == app.config.root_doc else "bkd-chapter-page"
    scripts = context.get("script_files", [])
    state = [script for script in scripts if _attribute(script, "type") == STATE_TYPE]
    needless = _is_thebe if _has_formula(doctree) else lambda script: _is_thebe(script) or _is_mathjax(script)
    context["script_files"] = [script for script in scripts if script not in state and not needless(script)]
    context["css_files"] = [sheet for sheet in context.get("css_files", []) if not _is_thebe(sheet)]
    live = context["pathto"]("_static/live/", 1)
    context["metatags"] = f'{context.get("metatags", "")}\n<meta name="bkd-live" content="{live}">'
    if state:
        name = _write_state(Path(app.outdir), pagename, _attribute(state[0], "body"))
        context["metatags"] += f'\n<meta name="bkd-widgets" content="{name}">'
    context["body"] = _THEBE_IN_TEXT.sub("", context.get("body", ""))
    if str(context.get("page_source_suffix", "")) == ".ipynb":
        context["body"] = _chapter_bar(app, pagename, context) + context["body"]


def _attribute(script: object, name: str) -> str:
    value: str = getattr(script, "attributes", {}).get(name) or ""
    return value


def _is_thebe(script: object) -> bool:
    return "sphinx-thebe" in str(getattr(script, "filename", script)) or "THEBE_JS_URL" in _attribute(
        script, "body"
    )


def _is_mathjax(script: object) -> bool:
    return "mathjax" in str(getattr(script, "filename", script)) or "window.MathJax" in _attribute(
        script, "body"
    )


def _has_formula(doctree: nodes.document | None) -> bool:
    return doctree is not None and any(
        isinstance(node, (nodes.math, nodes.math_block)) for node in doctree.findall()
    )


def _write_state(outdir: Path, pagename: str, state: str) -> str:
    """Write a page's widget state as a script, which also ``file://`` may load, and return its name.

    The JSON travels as a string: the browser parses it only when a lab is wanted.
    """
    digest = hashlib.sha256(state.encode()).hexdigest()[:10]
    name = f"widgets/{pagename.replace('/', '-')}.{digest}.js"
    target = outdir / "_static" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"window.bkdWidgetState = {json.dumps(state)};\n", encoding="utf-8")
    return name


def _chapter_bar(app: Sphinx, pagename: str, context: dict[str, Any]) -> str:
    """Return the line above a chapter's title: where else it runs."""
    url = app.config.bkd_address
    source = f"{pagename}.ipynb"
    download = context["pathto"](f"_sources/{source}", 1)
    links = [
        (colab(url) + source, "Run on Colab", ""),
        (download, "Download the notebook", " download"),
        (f"{url}/blob/{BRANCH}/{source}", "Source", ""),
    ]
    items = "".join(f'<a href="{html.escape(href)}"{extra}>{text}</a>' for href, text, extra in links)
    return f'<nav class="bkd-bar" aria-label="Ways to run this chapter">{items}</nav>\n'
