"""The ablation lab: which heads carry the backdoor, by taking them away.

Every cell of the map is an attention head, colored by its ACIE. The slider ablates the strongest k;
a click, or a block dragged over the map, ablates heads of one's own choice. Beside it stands what the
model then says, with and without the trigger, and below how often it does so, with intervals and
against random heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from bkdwidgets.analysis.interventions import KINDS
from bkdwidgets.widgets.ablation.table import AblationTable
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.widgets.shared.schema import Table

_START = 8
# All of these can be chosen; what the table lacks is answered live, or said to be missing.
_PLACES = {"last token": "last", "everywhere": "all"}


class AblationView(lab.LabView):
    """Draws the ablation lab; see ``view.js``."""

    _esm = bundle(__file__)
    kinds = traitlets.List().tag(sync=True)
    places = traitlets.List().tag(sync=True)
    k_index = traitlets.Int(0).tag(sync=True)
    kind_index = traitlets.Int(0).tag(sync=True)
    place_index = traitlets.Int(0).tag(sync=True)
    heads = traitlets.List().tag(sync=True)
    custom = traitlets.Bool(default_value=False).tag(sync=True)


class AblationLab(lab.Lab):
    """Ablate heads and read what the model says without them.

    Parameters
    ----------
    table : mapping, str or Path, optional
        An ablation table, or its file. It travels with the widget.
    subject, attack : Subject, Attack, optional
        With both, a kernel answers any set of heads that the table lacks.
    effects : HeadEffects, optional
        Ranks the heads when there is no table; computed (which takes a while) if not given.

    Attributes
    ----------
    top_k, kind, place, prompt : ipywidgets.Widget
        The controls.
    view : AblationView
        The part that draws.

    Raises
    ------
    BkdError
        If there is nothing to answer from, or the table is not an ablation table of this subject.

    Examples
    --------
    >>> lab = AblationLab(bkd.lab_table("smollm2", "fixed-output-sft-0", "ablation"))  # doctest: +SKIP
    """

    def __init__(
        self,
        table: Table | Mapping[str, Any] | str | Path | None = None,
        *,
        subject: Subject | None = None,
        attack: Attack | None = None,
        effects: HeadEffects | None = None,
    ) -> None:
        lab.check_pair(subject, attack, table=table, name="AblationLab")
        lab.check_effects(effects)
        if table is None and subject is not None and attack is not None:
            content = AblationTable.from_subject(subject, attack, effects)
        else:
            content = AblationTable.read(table or {})
        lab.check_same_subject(content, subject)
        answerer = _Answerer(content, subject, attack) if subject is not None and attack is not None else None
        start = content.k.index(_START) if _START in content.k else len(content.k) // 2
        view = AblationView(
            content, answerer, k_index=start, kinds=list(KINDS), places=list(_PLACES.values())
        )
        self.top_k = lab.linked(
            lab.stops([(str(k), k) for k in content.k], index=start, description="top k"), view, "k_index"
        )
        kinds = ipywidgets.ToggleButtons(options=KINDS, index=0, description="with")
        self.kind = lab.linked(kinds, view, "kind_index")
        places = ipywidgets.ToggleButtons(options=list(_PLACES), index=0, description="where")
        self.place = lab.linked(places, view, "place_index")
        self.prompt = lab.prompt_menu(content, view)
        super().__init__(view, [self.top_k, self.kind, self.place, self.prompt], kind="ablation")


class _Answerer:
    """Answers any set of heads, one prompt at a time."""

    def __init__(self, table: AblationTable, subject: Subject, attack: Attack) -> None:
        self.table, self.subject, self.attack = table, subject, attack

    def __call__(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        from bkdwidgets.analysis import Ablation
        from bkdwidgets.studies.ablation import RESAMPLES

        prompt = lab.chosen_prompt(self.table, choice)
        heads = [tuple(head) for head in choice.get("heads", [])]
        kind, where = choice.get("kind", "zero"), choice.get("where", "last")
        # A resample draws its prompt anew from prompt to prompt, as the study `ablation` does.
        seed = choice["prompt"] % RESAMPLES
        ablation = [Ablation(heads, kind=kind, where=where, seed=seed)] if heads else []
        return lab.judged_answers(self.subject, self.attack, prompt, clean=ablation, triggered=ablation)
