"""Figures of the ledger: a published result drawn by its name, with a caption that says where it is from.

Every drawing takes its numbers from the entry and from nothing else, so a figure in a chapter changes when
the entry is computed again, and only then. One drawing reads other entries, too: what is left of the adapters
that ``families`` compares stands in their ``restoration`` entries. What can be drawn of which study stands in
:data:`SHOWS`.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.figures import (
    ablation,
    families,
    families_overview,
    heads,
    layers,
    near_misses,
    outcomes,
    poison,
    probes,
    seeds,
    steering,
    tools,
    trigger_form,
    verdicts,
)
from bkdwidgets.notebook import embedded_plotly, writes_static

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from bkdwidgets.figures.drawing import Drawing

SHOWS: dict[str, dict[str, Callable[..., Drawing]]] = {
    "measure": {"outcomes": outcomes.measured},
    "probe": {
        "accuracy": partial(probes.accuracy, kind="mlp"),
        "svm": partial(probes.accuracy, kind="svm"),
        "ilca": partial(probes.across_layers, kind="mlp"),
        "ilca-svm": partial(probes.across_layers, kind="svm"),
    },
    "attribute": {"heads": heads.effects, "stability": heads.stability},
    "screen": {"agreement": heads.agreement},
    "mlp": {"layers": layers.mlp_effects},
    "restoration": {
        "cumulative": partial(layers.restored, way="cumulative"),
        "single": partial(layers.restored, way="single"),
    },
    "ablation": {name: partial(ablation.rates, rate=name) for name in ("asr", "as_before", "utility", "ftr")},
    "steering-grid": {
        name: partial(steering.grid, rate=name) for name in ("asr_triggered", "as_before", "asr_clean")
    },
    "steering": {"chosen": steering.chosen, "outcomes": verdicts.steered},
    "seeds": {
        "jaccard": partial(seeds.pairs, measure="jaccard"),
        "rank": partial(seeds.pairs, measure="spearman"),
    },
    "tools": {"tools": tools.tools},
    "poison": {name: partial(poison.rates, rate=name) for name in ("asr", "ftr", "utility")},
    "trigger-form": {"near-misses": trigger_form.near_misses},
    "near-misses": {"fired": near_misses.fired},
    "families": {
        "rank": partial(families.agreement, measure="spearman"),
        "jaccard": partial(families.agreement, measure="jaccard"),
        "ablated": partial(families.moved, what="ablated"),
        "cure": partial(families.moved, what="cure"),
        "on": partial(families.moved, what="on"),
        "probe": families.probed,
        "restoration": families.restored,
        "overview": families_overview.overview,
    },
}
"""Study -> what of it can be drawn; the first is the default."""

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
        What to draw of it: ``measure``: outcomes. ``probe``: accuracy, svm, ilca, ilca-svm. ``attribute``:
        heads, stability. ``screen``: agreement. ``mlp``: layers. ``restoration``: cumulative, single.
        ``ablation``: asr, as_before, utility, ftr. ``steering-grid``: asr_triggered, as_before, asr_clean.
        ``steering``: chosen, outcomes. ``seeds``: jaccard, rank. ``tools``: tools. ``poison``: asr, ftr,
        utility. ``trigger-form``: near-misses. ``near-misses``: fired. ``families``: rank, jaccard, ablated,
        cure, on, probe, restoration, overview. By default the first.
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
    if study not in SHOWS:
        raise BkdError(f"the study {study!r} of {name!r} has no figure; known: {', '.join(SHOWS)}")
    shows = SHOWS[study]
    chosen = next(iter(shows)) if show is None else arguments.one_of(f"show of {study}", show, shows)
    title, note = (
        value if value is None else arguments.text(name_, value)
        for name_, value in (("title", title), ("note", note))
    )
    draw = shows[chosen]
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
