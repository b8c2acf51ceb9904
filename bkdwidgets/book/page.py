"""The Sphinx extension that shapes the book's pages.

It does eleven things that the theme and jupyter-book leave open:

* derives every link to the repository and to Colab from the one address in ``pyproject.toml``;
* moves the widgets' state out of the page into a file of its own, which ``page.js`` loads when a lab comes
  near (the state holds the labs' tables and is by far the largest part of a chapter);
* drops scripts that no page of ours uses: sphinx-thebe, which names another host, and Font Awesome's
  1.5 MB, of which the theme shows a dozen icons (``book.css`` draws those);
* leaves it to ``page.js`` to load MathJax, more than all else of a first view, when a formula comes near;
* says of each lab which kind it is, so that room is kept for it before it is drawn;
* chooses light or dark before the first paint, in a script of its own;
* puts a line with the ways to run a chapter above its title;
* gives each folded solution a name, to which a chapter's notebook links;
* names the folder from which the page runs a subject (``bkd-live``);
* adds the directive of the home page's demonstration (`bkdwidgets.book.home_demo`);
* says in each head what the page is, for those who see a link to it (`bkdwidgets.book.card`);
* writes the Content-Security-Policy into each page of a finished build (`bkdwidgets.book.csp`).
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes  # type: ignore[import-untyped]

from bkdwidgets.book import card
from bkdwidgets.book.addresses import (
    BRANCH,
    NOTEBOOKS,
    SOLUTION,
    address,
    colab,
    solution_id,
    source,
)
from bkdwidgets.book.csp import protect
from bkdwidgets.book.home_demo import Switch

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

STATE_TYPE = "application/vnd.jupyter.widget-state+json"
_CHOOSE_THEME = re.compile(r"<script data-cfasync[^>]*>.*?</script>", re.DOTALL)
_THEBE_IN_TEXT = re.compile(
    r'<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = [^<]*</script>', re.DOTALL
)
_VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">\s*\{[^<]*?"model_id": "(?P<model>\w+)"'
)
_FONT_AWESOME = re.compile(r'\s*<script[^>]*src="[^"]*scripts/fontawesome\.js[^"]*"[^>]*></script>')


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("config-inited", _configure, priority=100)
    app.connect("doctree-read", number_solutions)
    app.connect("html-page-context", _shape, priority=999)
    app.connect("html-page-context", card.shape, priority=998)
    app.connect("build-finished", card.finish, priority=998)
    app.connect("build-finished", protect, priority=999)
    app.add_directive("switch", Switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _configure(app: Sphinx, config: Config) -> None:
    """Let ``[text](colab:chapter.ipynb)`` and ``[text](repo:path)`` in the prose lead to the repository."""
    url = address(Path(app.srcdir))
    config.myst_url_schemes = {
        "http": None,
        "https": None,
        "mailto": None,
        "colab": colab(url) + "{{path}}",
        "repo": source(url) + "{{path}}",
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
    formula = _has_formula(doctree)
    context["script_files"] = [
        script
        for script in scripts
        if not (script in state or _is_thebe(script) or _loads_mathjax(script))
        and (formula or not _sets_mathjax(script))
    ]
    context["css_files"] = [sheet for sheet in context.get("css_files", []) if not _is_thebe(sheet)]
    live = context["pathto"]("_static/live/", 1)
    context["metatags"] = f'{context.get("metatags", "")}\n<meta name="bkd-live" content="{live}">'
    if formula:
        context["metatags"] += f'\n<meta name="bkd-math" content="{app.config.mathjax_path}">'
    context["body"] = _THEBE_IN_TEXT.sub("", context.get("body", ""))
    if state:
        widgets = _attribute(state[0], "body")
        name = _write_state(Path(app.outdir), pagename, widgets)
        context["metatags"] += f'\n<meta name="bkd-widgets" content="{name}">'
        context["body"] = _with_kinds(context["body"], json.loads(widgets)["state"])
    if str(context.get("page_source_suffix", "")) == ".ipynb":
        context["body"] = _chapter_bar(app, pagename, context) + context["body"]


def _attribute(script: object, name: str) -> str:
    value: str = getattr(script, "attributes", {}).get(name) or ""
    return value


def _is_thebe(script: object) -> bool:
    return "sphinx-thebe" in str(getattr(script, "filename", script)) or "THEBE_JS_URL" in _attribute(
        script, "body"
    )


def _loads_mathjax(script: object) -> bool:
    return "mathjax" in str(getattr(script, "filename", script))


def _sets_mathjax(script: object) -> bool:
    return "window.MathJax" in _attribute(script, "body")


def _has_formula(doctree: nodes.document | None) -> bool:
    return doctree is not None and any(
        isinstance(node, (nodes.math, nodes.math_block)) for node in doctree.findall()
    )


def _with_kinds(body: str, models: dict[str, Any]) -> str:
    """Write into each widget's place which lab it is: the style sheet keeps room for it."""

    def named(found: re.Match[str]) -> str:
        classes = models.get(found["model"], {}).get("state", {}).get("_dom_classes", [])
        kinds = [name for name in classes if name.startswith("bkd-") and name.endswith("-lab")]
        kind = kinds[0].removeprefix("bkd-").removesuffix("-lab") if kinds else "other"
        return found[0].replace("<script ", f'<script data-lab="{kind}" ', 1)

    return _VIEW.sub(named, body)


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


def number_solutions(_app: Sphinx, doctree: nodes.document) -> None:
    """Name the folded solutions of a page ``solution-1``, ``solution-2`` and so on."""
    folds = doctree.findall(
        lambda node: isinstance(node, nodes.Element) and node.get("design_component") == "dropdown"
    )
    titles = [fold[0] for fold in folds if fold[0].astext() == SOLUTION]
    for number, title in enumerate(titles, start=1):
        title["ids"].append(solution_id(number))


def _chapter_bar(app: Sphinx, pagename: str, context: dict[str, Any]) -> str:
    """Return the line above a chapter's title: where else it runs."""
    url = app.config.bkd_address
    name = f"{pagename.rpartition('/')[2]}.ipynb"
    links = [
        (colab(url) + name, "Run on Colab", ""),
        (context["pathto"](f"{NOTEBOOKS}/{name}", 1), "Download the notebook", " download"),
        (f"{source(url)}{pagename}.ipynb", "Source", ""),
    ]
    items = "".join(f'<a href="{html.escape(href)}"{extra}>{text}</a>' for href, text, extra in links)
    return f'<nav class="bkd-bar" aria-label="Ways to run this chapter">{items}</nav>\n'
