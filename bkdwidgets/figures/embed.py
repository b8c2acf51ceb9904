"""Drawings as data: elements that say what to draw, which the page's own code turns into figures."""

from __future__ import annotations

import html
import os
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.html import script_json
from bkdwidgets.figures import template

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC_VARIABLE = "BKDWIDGETS_STATIC"
"""The environment variable that the book's builder sets to "1"."""

_DEFAULT_HEIGHT = 420
_PLOTLY_TOP = 100
"""Pixels that plotly leaves above a plot when nobody says otherwise."""


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
