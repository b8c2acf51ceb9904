"""Figures of the ledger: a published result drawn by its name, with a caption that says where it is from.

Every drawing takes its numbers from the entry and from nothing else, so a figure in a chapter changes when
the entry is computed again, and only then. One drawing reads other entries, too: what is left of the adapters
that ``families`` compares stands in their ``restoration`` entries. What can be drawn of which study stands
beside the drawing, in the ``SHOWS`` of its module; see :func:`shows`.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from functools import lru_cache, partial
from html import escape
from typing import TYPE_CHECKING, Any

from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.discovery import modules
from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.figures.embed import embedded_plotly, writes_static

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import plotly.graph_objects as go

    from bkdwidgets.figures.drawing import Drawing


@lru_cache(maxsize=1)
def shows() -> dict[str, Mapping[str, Callable[..., Drawing]]]:
    """Return what can be drawn of each study, as ``SHOWS`` of the modules here say; the first is the default.

    It stands beside the drawings and not in the studies, which draw torch in: a figure needs none.
    """
    found = [getattr(module, "SHOWS", {}) for module in modules("bkdwidgets.figures")]
    return {study: drawings for of_module in found for study, drawings in of_module.items()}


_APPENDIX = "appendix/reproducibility.html"  # as a chapter, which lies in book/, reaches it


@dataclass(frozen=True, eq=False)
class LedgerFigure:
    """A drawn ledger entry; a notebook shows the figure with its caption below.

    Attributes
    ----------
    figure : plotly.graph_objects.Figure
        The figure alone, for those who want to change it.
    caption : str
        What is drawn, n, the intervals and the control.
    alt : str
        What the figure shows, in words and values.
    name : str
        The ledger entry.
    show : str
        What of it is drawn, for example ``"asr"`` or ``"asr-all"``.
    """

    figure: go.Figure
    caption: str
    alt: str
    name: str
    show: str

    def __repr__(self) -> str:
        """Name the entry and say what is drawn."""
        return f"LedgerFigure({self.name}: {self.caption})"

    def _repr_html_(self) -> str:
        """Return the figure as data with its caption, as the book's pages carry it."""
        data = json.loads(self.figure.to_json())
        drawn = embedded_plotly(data, label=self.alt, name=f"{self.name}-{self.show}")._repr_html_()
        return f'<figure class="bkd-ledger-figure">{drawn}{self._caption(linked=True)}</figure>'

    def _ipython_display_(self) -> None:
        """Show figure and caption: as data while the book is built, by plotly's own means in a notebook."""
        from IPython.display import HTML, display

        if writes_static():
            display(HTML(self._repr_html_()))
        else:
            display(self.figure, HTML(self._caption(linked=False)))

    def _caption(self, *, linked: bool) -> str:
        """Return the caption as HTML, the entry's name as a link where there is an appendix to lead to."""
        name = escape(self.name)
        if linked:
            name = f'<a href="{_APPENDIX}#{ledger.label(self.name)}">{name}</a>'
        return (
            f'<figcaption class="bkd-caption">{escape(self.caption)} '
            f'<span class="bkd-origin">From {name}; computed again by '
            f"<code>bkdwidgets reproduce {escape(self.name)}</code>.</span></figcaption>"
        )


def figure(
    name: str,
    *,
    show: str | None = None,
    title: str | None = None,
    note: str | None = None,
    **options: Any,
) -> LedgerFigure:
    """Draw a ledger entry: the result as it was published, with its intervals and its control.

    Parameters
    ----------
    name : str
        The entry, ``subject/adapter/study``, for example ``"nano/fixed-output-sft-0/ablation"``.
    show : str, optional
        What to draw of it, for example ``"asr"``; a word that is not known is refused with those that are. By
        default the first of them.
    title : str, optional
        Printed above the figure.
    note : str, optional
        One sentence put before the caption: what to see.
    **options
        Of the drawing: ``where`` ("last" or "all") for ablation, steering and its grid, ``vector`` ("paper"
        or "difference") for steering and its grid, ``k`` for seeds.

    Returns
    -------
    LedgerFigure
        Figure and caption; its ``figure`` is plotly's.

    Raises
    ------
    BkdError
        If there is no such entry, or nothing of that name is drawn of its study; names what is known.
    """
    study = name.rpartition("/")[2] if isinstance(name, str) else ""
    entry = ledger.published(name)
    if study not in shows():
        raise BkdError(f"the study {study!r} of {name!r} has no figure; known: {', '.join(shows())}")
    known = shows()[study]
    chosen = next(iter(known)) if show is None else arguments.one_of(f"show of {study}", show, known)
    title, note = (
        value if value is None else arguments.text(name_, value)
        for name_, value in (("title", title), ("note", note))
    )
    draw = known[chosen]
    _check_options(draw, options, f"{study}, show={chosen!r}")
    drawing = draw(entry, title=title, **options)
    caption = f"{note.strip()} {drawing.caption}" if note else drawing.caption
    shown = "-".join(map(str, (chosen, *options.values())))
    return LedgerFigure(figure=drawing.figure, caption=caption, alt=drawing.alt, name=entry.name, show=shown)


def _check_options(draw: Callable[..., Drawing], options: dict[str, Any], of: str) -> None:
    fixed = {"title", *(draw.keywords if isinstance(draw, partial) else ())}
    known = [
        name
        for name, parameter in inspect.signature(draw).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in fixed
    ]
    for name in options:
        if name not in known:
            raise unknown(f"option of {of}", name, known)
