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

import html
import json
import os
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC_VARIABLE = "BKDWIDGETS_STATIC"
"""The environment variable that the book's builder sets to "1"."""

NO_OTHER_HOST = {"showSendToCloud": False, "plotlyServerURL": "", "displaylogo": False}
"""Plotly without "Share chart...", which uploads to its maker, and without its logo, a link there."""

_DEFAULT_HEIGHT = 420
_PLOTLY_TOP = 100
"""Pixels that plotly leaves above a plot when nobody says otherwise."""

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

    pio.templates.default = template.TEMPLATE
    _tame_circuitsvis()
    if writes_static():
        _setup_static()
    else:
        _keep_charts_here()


def writes_static() -> bool:
    """Say whether the book is being built, so that figures are written as data."""
    return os.environ.get(STATIC_VARIABLE) == "1"


@dataclass(frozen=True)
class Embedded:
    """A drawing as data: the element that ``page.js`` turns into a figure.

    Attributes
    ----------
    kind : str
        Which library draws it, ``"plotly"`` or ``"circuitsvis"``.
    data : Mapping
        What it draws, as JSON.
    label : str
        What a screen reader says of it.
    height : int
        Pixels kept free until it is drawn, so that the text below does not jump.
    component : str
        The CircuitsVis component.
    title : str
        Written above, as text that wraps with the page.
    file : str
        What a picture of it is called when a reader keeps one.
    """

    kind: str
    data: Mapping[str, Any]
    label: str
    height: int
    component: str = ""
    title: str = ""
    file: str = ""

    def _repr_html_(self) -> str:
        attributes = {
            "class": f"bkd-figure bkd-{self.kind}",
            "data-kind": self.kind,
            "data-component": self.component,
            "role": "group",  # not "img": what is inside stays reachable
            "aria-label": self.label,
            "data-file": self.file,
            "style": f"min-height:{self.height}px",
        }
        written = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items() if value)
        title = f'<p class="bkd-figure-title">{html.escape(self.title)}</p>' if self.title else ""
        return (
            f'<div {written}>{title}<div class="bkd-drawing" id="bkd-{uuid.uuid4().hex[:12]}"></div>'
            f'<script type="application/json">{script_json(self.data)}</script></div>'
        )

    __str__ = _repr_html_
    __html__ = _repr_html_


def script_json(value: Any) -> str:
    r"""Write JSON that may stand inside a ``<script>`` element, whatever text it carries.

    Parameters
    ----------
    value : object
        Anything `json` can write.

    Returns
    -------
    str
        The JSON, with each ``<`` as ``\u003c``.

    Examples
    --------
    >>> script_json({"text": "</script><b>"})
    '{"text":"\\u003c/script>\\u003cb>"}'
    """
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


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

    class BookRenderer(MimetypeRenderer):
        """Write a figure as data."""

        def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, str]:
            data = json.loads(pio.to_json(fig_dict, validate=False))
            return {"text/html": embedded_plotly(data)._repr_html_()}

    pio.renderers["bkdwidgets"] = BookRenderer()
    pio.renderers.default = "bkdwidgets"
    for module in _circuitsvis_modules():
        module.render = _circuitsvis


def embedded_plotly(
    figure: Mapping[str, Any], *, label: str | None = None, name: str | None = None
) -> Embedded:
    """Return a plotly figure as data, its title as text above it.

    A title inside the drawing cannot wrap where the page is narrow, so the page gets it as text and the
    drawing loses the room it took. ``"titled"`` keeps what a picture of the figure needs to have it again.

    Parameters
    ----------
    figure : mapping
        The figure as plotly writes it: ``data`` and ``layout``.
    label : str, optional
        What a screen reader says of it; by default its title, else what its axes show.
    name : str, optional
        What a picture of it is called; by default after its title.

    Returns
    -------
    Embedded
        The element.
    """
    from bkdwidgets.figures import template  # draws plotly in

    layout = dict(figure.get("layout", {}))
    height = int(layout.get("height") or _DEFAULT_HEIGHT)
    title = _plain(_title(layout))
    data = {**figure, "layout": layout}
    if title:
        margin = layout.get("margin", {})
        top = margin.get("t", _template(layout).get("margin", {}).get("t", _PLOTLY_TOP))
        data["titled"] = {"title": layout.pop("title"), "height": height, "margin": {**margin, "t": top}}
        height -= max(0, top - template.AIR)
        layout |= {"height": height, "margin": {**margin, "t": min(top, template.AIR)}}
    file = re.sub(r"[\W_]+", "-", name or title or "figure").strip("-").lower()
    return Embedded("plotly", data, label or _name(figure.get("layout", {})), height, title=title, file=file)


def _template(layout: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = layout.get("template", {}).get("layout", {})
    return found


def _name(layout: Mapping[str, Any]) -> str:
    """Return what a screen reader says of a plotly figure: its title, else what its axes show."""
    parts = (layout, layout.get("yaxis", {}), layout.get("xaxis", {}))
    title, down, across = (_plain(_title(part)) for part in parts)
    return title or " by ".join(filter(None, (down, across))) or "figure"


def _title(part: Mapping[str, Any]) -> str:
    title = part.get("title") or {}
    return title.get("text") or "" if isinstance(title, dict) else str(title)


def _plain(text: str) -> str:
    """Return a plotly title without its few tags."""
    out, inside = [], False
    for letter in text.replace("<br>", " "):
        inside = (inside or letter == "<") and letter != ">"
        if not inside and letter != ">":
            out.append(letter)
    return html.unescape("".join(out)).strip()


def _circuitsvis(react_element_name: str, **props: Any) -> Embedded:
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
