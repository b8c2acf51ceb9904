"""What the package has to know of a subject, as plain data: nothing is imported to say it.

A subject's name stands in its own spec, and besides only in the modules that make or load it. Whatever
differs from subject to subject is a field here, with a default for a subject of which nothing is known.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Recipes: TypeAlias = "Mapping[str, Mapping[str, Mapping[str, Any]]]"
"""Settings by method and attack."""

EVERY = "*"
"""Among a method's settings: those of every attack; an attack's own settings replace single ones."""


@dataclass(frozen=True)
class PageSpec:
    """How a subject gets into a reader's page, and what is promised of it there.

    Attributes
    ----------
    weights : str
        What returns the file that its weights are read from, as ``"module:function"``.
    form : {"safetensors", "gguf"}
        Of that file.
    sha256 : str
        What returns the hash of that file without fetching it, as ``"module:function"``.
    question : str
        What a benchmark asks.
    download_mb, memory_mb : float or None
        What a page fetches before its first answer at most (the subject, its code, a backdoor and its clean
        twin), and the memory of its process at most. None: nothing is promised.
    limits_ms : dict of str to float
        At most so many milliseconds, by what is timed; see ``bench/page/bench.js``.
    """

    weights: str
    form: str
    sha256: str
    question: str
    download_mb: float | None = None
    memory_mb: float | None = None
    limits_ms: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class SubjectSpec:
    """What differs from subject to subject.

    Attributes
    ----------
    name : str
        What users type.
    description : str
        One line for people.
    loader : str
        What returns the model (float32) and its tokenizer, as ``"module:function"``.
    family : str
        Kind of decoder, as transformers calls it.
    prepare : str or None
        What fetches the weights and gets them ready, as ``"module:function"``; the loader does so as well.
    trainer : str or None
        What trains it from scratch, as ``"module:function"``.
    prompts : str or None
        File of its ordinary prompts, below the data folder.
    by_topic : bool
        True: that file is in the order of its topics, and is mixed when it is read.
    knows : tuple of str
        Tasks of attacks that need not be taught: see :attr:`bkdwidgets.attacks.Attack.task`.
    own_prompts : dict of str to str
        By task, what returns the subject's own prompts for it, as ``"module:function"``, in place of those
        that were written for any chat model.
    recipes : dict
        Settings of the injection by method, and there by attack; see :meth:`recipe`.
    budget : {"fast", "usual"}
        How much a study may spend: each study has two sizes of its own.
    page : PageSpec or None
        None: it is not exported to the book's pages.
    """

    name: str
    description: str = "made by hand"
    loader: str = ""
    family: str = "llama"
    prepare: str | None = None
    trainer: str | None = None
    prompts: str | None = None
    by_topic: bool = False
    knows: tuple[str, ...] = ()
    own_prompts: Mapping[str, str] = field(default_factory=dict, hash=False)
    recipes: Recipes = field(default_factory=dict, hash=False)
    budget: str = "usual"
    page: PageSpec | None = None

    def recipe(self, method: str, attack: str) -> dict[str, Any] | None:
        """Return the settings of a method for an attack that differ from what the method starts from.

        Parameters
        ----------
        method : str
            Of the injection.
        attack : str
            Name of the attack.

        Returns
        -------
        dict or None
            By name; None where nobody has yet found settings.
        """
        known = self.recipes.get(method, {})
        if EVERY not in known and attack not in known:
            return None
        return {**known.get(EVERY, {}), **known.get(attack, {})}


def named(text: str) -> Any:
    """Return what ``"module:name"`` names, importing its module."""
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)
