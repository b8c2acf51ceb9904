"""Prepare a notebook so that its figures draw without asking another host.

A chapter calls `setup_notebook` once, at its top. With a kernel (JupyterLab, VS Code, Colab) plotly keeps
the renderer it chose for that place, and CircuitsVis draws from the copy inside its own package: as it
comes, it contacts an outside host at every drawing and then loads its code from a third one.

While the book is built (``BKDWIDGETS_STATIC=1``) both write plain data into the page instead: an element
that says what to draw, with the figure as JSON inside. The book's ``page.js`` draws it, with code that the
book serves itself, once the reader scrolls near. So a page of ten figures opens as fast as a page of none,
no output carries executable script, and text inside a figure can never become markup.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.html import script_json

if TYPE_CHECKING:
    from bkdwidgets.figures.embed import Embedded

NO_OTHER_HOST = {"showSendToCloud": False, "plotlyServerURL": "", "displaylogo": False}
"""Plotly without "Share chart...", which uploads to its maker, and without its logo, a link there."""

_CIRCUITSVIS_MODULES = (
    "activations",
    "attention",
    "examples",
    "logits",
    "tokens",
    "topk_samples",
    "topk_tokens",
)
_DECIMALS = 4
WORD_JOINER = "\u2060"


def setup_notebook() -> None:
    """Make plotly and CircuitsVis draw without any other host, here and in the built book.

    It is the one call that changes other libraries, for the rest of the session: plotly's default template
    becomes the book's, CircuitsVis loads its code from its own package and writes tokens as text, and while
    the book is built both write data instead of scripts. Calling it again changes nothing. It prints nothing.
    """
    import plotly.io as pio  # heavy, and only a notebook needs it

    from bkdwidgets.figures import template
    from bkdwidgets.figures.embed import writes_static

    pio.templates.default = template.TEMPLATE
    _tame_circuitsvis()
    if writes_static():
        _setup_static()
    else:
        _keep_charts_here()


def _keep_charts_here() -> None:
    """Take the button away that sends a figure to plotly's host, from every place where figures are drawn."""
    import plotly.io as pio

    for name in filter(None, pio.renderers.default.split("+")):
        renderer = pio.renderers[name]
        if hasattr(renderer, "config"):
            renderer.config = {**(renderer.config or {}), **NO_OTHER_HOST}


def _setup_static() -> None:
    import plotly.io as pio
    from plotly.io.base_renderers import MimetypeRenderer

    from bkdwidgets.figures.embed import embedded_plotly

    class BookRenderer(MimetypeRenderer):
        """Write a figure as data."""

        def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, str]:
            data = json.loads(pio.to_json(fig_dict, validate=False))
            return {"text/html": embedded_plotly(data)._repr_html_()}

    pio.renderers["bkdwidgets"] = BookRenderer()
    pio.renderers.default = "bkdwidgets"
    for module in _circuitsvis_modules():
        module.render = _circuitsvis


def _circuitsvis(react_element_name: str, **props: Any) -> Embedded:
    from bkdwidgets.figures.embed import Embedded

    data = {name: _plain_data(value) for name, value in props.items() if value is not None}
    words = "".join(
        f" {letter.lower()}" if letter.isupper() else letter for letter in react_element_name
    ).strip()
    return Embedded("circuitsvis", data, words, 60, react_element_name)


def _plain_data(value: Any) -> Any:
    """Return arrays as nested lists with as many decimals as an eye can use, and text that stays text.

    CircuitsVis writes some tokens into the page as HTML and others as text. A word joiner (which takes no
    room) behind each ``<`` and ``&`` keeps the first from being markup and leaves the second as it was.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain_data(item) for item in value]
    if isinstance(value, str):
        return re.sub("[<&]", lambda found: found[0] + WORD_JOINER, value)
    return round(value, _DECIMALS) if isinstance(value, float) else value


def _circuitsvis_modules() -> list[Any]:
    import importlib

    return [importlib.import_module(f"circuitsvis.{name}") for name in _CIRCUITSVIS_MODULES]


def _tame_circuitsvis() -> None:
    """Keep CircuitsVis on its own copy of its code, and a token's text out of the markup around it."""
    from circuitsvis.utils import render

    render.internet_on = _no_internet
    render.convert_props = _converted


def _no_internet() -> bool:
    return False


def _converted(props: dict[str, Any]) -> str:
    return script_json({name: _plain_data(value) for name, value in props.items() if value is not None})
