"""The public names in the API reference: the directive ``{verbs}`` documents those of some rooms.

With the argument ``measurement`` it writes the docstrings of every public name of :mod:`bkdwidgets` whose
code lives in ``bkdwidgets.measurement``, so that a new name needs no line in the reference.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective

import bkdwidgets
from bkdwidgets.book.numbers import complain

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Verbs(SphinxDirective):
    """Docstrings of the public names of some rooms."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return what autodoc makes of each name."""
        rooms = self.arguments[0].split()
        found = [name for name in bkdwidgets.__all__ if room_of(name) in rooms]
        if not found:
            known = ", ".join(sorted({room_of(name) for name in bkdwidgets.__all__}))
            return [
                complain(
                    f"no public name lives in {' or '.join(rooms)}; known: {known}", "", self.get_location()
                )
            ]
        written = "\n\n".join(_directive(name) for name in found)
        parsed: list[nodes.Node] = self.parse_text_to_nodes(f"```{{eval-rst}}\n{written}\n```")
        return parsed


def room_of(name: str) -> str:
    """Return the room of the package in which a public name's code lives; in core each module is one."""
    module: str = getattr(bkdwidgets, name).__module__
    return module.removeprefix("bkdwidgets.").removeprefix("core.").split(".")[0]


def name_attributes(_app: Sphinx, doctree: nodes.document) -> None:
    """Call a result's attributes so; Sphinx calls them variables."""
    for field in doctree.findall(nodes.field_name):
        if field.astext() == "Variables":
            field.children = [nodes.Text("Attributes")]


def _directive(name: str) -> str:
    named = getattr(bkdwidgets, name)
    if inspect.isfunction(named):
        return f".. autofunction:: bkdwidgets.{name}"
    kind = "autoexception" if issubclass(named, Exception) else "autoclass"
    members = (
        "" if room_of(name) == "widgets" else "\n   :members:"
    )  # a widget's are traitlets' and ipywidgets'
    return f".. {kind}:: bkdwidgets.{name}{members}"
