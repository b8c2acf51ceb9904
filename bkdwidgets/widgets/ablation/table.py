"""The ablation lab's table: top-k sets with rates, the strongest single heads, and random heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.analysis.interventions import drawn_prompt
from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.core.heads import heads_of
from bkdwidgets.studies.ablation import RESAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.core.ledger import Entry

_RATES = ("asr", "as_before", "utility")


def ablation_table(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the table's body from the entries ``attribute``, ``ablation`` and ``lab-ablation``."""
    effects, rates, lab = (entries[name].values for name in ("attribute", "ablation", "lab-ablation"))
    about = entries["lab-ablation"]
    kinds = list(rates["random"])
    places = list(rates[kinds[0]])
    ks = [int(k) for k in rates[kinds[0]][places[0]]]
    return {
        "acie": effects["acie"],
        "acie_n": len(effects["per_prompt"]),
        "ranked": [list(head) for head in heads_of(effects["ranked"])],
        "k": [0, *ks],
        "kinds": kinds,
        "places": places,
        "drawn": [
            drawn_prompt(about.subject, attack_named(about.attack), seed) for seed in range(RESAMPLES)
        ],
        "top": [
            _row(rates, lab, (kind, where, k)) for kind in kinds for where in places for k in (0, *ks)
        ],
        "single": [
            {"kind": "zero", "where": "last", "head": list(heads_of([name.removeprefix("single.")])[0])}
            | _answers(lab["cases"][name])
            for name in lab["cases"]
            if name.startswith("single.")
        ],
        "random": [
            {"kind": kind, "where": where, "k": int(k), "draws": cell["asr"]["draws"],
             "n": cell["asr"]["n"] // cell["asr"]["draws"]}
            | {name: cell[name]["per_draw"] for name in _RATES}
            for kind, where_cells in rates["random"].items()
            for where, cells in where_cells.items()
            for k, cell in cells.items()
        ],
        "texts": lab["texts"],
    }  # fmt: skip


def _row(rates: dict[str, Any], lab: dict[str, Any], setting: tuple[str, str, int]) -> dict[str, Any]:
    """Return a set's rates and completions; taking no head away is the same whatever the kind."""
    kind, where, k = setting
    cell = rates[kind][where][str(k)] if k else rates["none"]
    return {
        "kind": kind,
        "where": where,
        "k": k,
        **_answers(lab["cases"][f"{kind}.{where}.{k}" if k else "none"]),
        "rates": {
            **{rate: cell[rate] for rate in _RATES},
            "outcomes": cell["outcomes"]["triggered"],
            "outcomes_clean": cell["outcomes"]["clean"],
        },
    }


def _answers(case: dict[str, Any]) -> dict[str, Any]:
    """Return ``[number of the text, outcome]`` for each prompt that is shown, per side."""
    return {
        side: [[text, letter] for text, letter in zip(half["texts"], half["letters"], strict=False)]
        for side, half in case.items()
    }
