"""How a backdoor is planted: an attack goes in, an adapter file comes out."""

from bkdwidgets.injection.inject import inject
from bkdwidgets.injection.methods import methods, recipe_for
from bkdwidgets.injection.mixture import mixture
from bkdwidgets.injection.recipes import DpoRecipe, EditRecipe, HiddenRecipe, SftRecipe

__all__ = [
    "DpoRecipe",
    "EditRecipe",
    "HiddenRecipe",
    "SftRecipe",
    "inject",
    "methods",
    "mixture",
    "recipe_for",
]
