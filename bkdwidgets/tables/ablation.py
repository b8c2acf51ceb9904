"""The ablation lab's table: top-k sets, the strongest single heads, and the control of random heads.

The control keeps the layers: each draw takes, for every head of the top-k set, another head of the
same layer while there are any, so that only the choice of heads differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bkdwidgets.analysis import Ablation
from bkdwidgets.analysis.controls import Head, random_heads
from bkdwidgets.tables.cells import (
    SHOWN,
    Case,
    Cell,
    TextPool,
    outcome_counts,
    run_cases,
    share,
    shown_prompts,
)

if TYPE_CHECKING:
    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

KS = (0, 1, 2, 4, 8, 16, 32)
KINDS = ("zero", "mean")
DRAWS = 20
N_TOP = 48
N_SINGLE = 64
N_RANDOM = 12  # divides N_TOP


def ablation_table(subject: Subject, attack: Attack, effects: HeadEffects) -> dict[str, Any]:
    """Compute the table of the ablation lab (everything but the common head)."""
    n_heads = subject.n_layers * subject.n_heads
    ranked = effects.top(n_heads)
    ks = [k for k in KS if k <= n_heads // 2]
    pool = TextPool()
    return {
        "prompts": shown_prompts(subject, attack),
        "acie": [[round(value, 6) for value in row] for row in effects.acie.tolist()],
        "acie_n": len(effects.per_prompt),
        "ranked": [list(head) for head in ranked],
        "k": ks,
        "kinds": list(KINDS),
        "where": "last",
        "top": _top(subject, attack, ranked, ks, pool),
        "single": _single(subject, attack, ranked[:N_SINGLE], pool),
        "random": _random(subject, attack, ranked, [k for k in ks if k]),
        "texts": pool.texts,
    }


def _top(
    subject: Subject, attack: Attack, ranked: list[Head], ks: list[int], pool: TextPool
) -> list[dict[str, Any]]:
    settings = [(kind, k) for kind in KINDS for k in ks]
    cases = [
        Case((Ablation(ranked[:k], kind=kind).prepared(subject, attack),) if k else (), N_TOP)
        for kind, k in settings
    ]
    cells = run_cases(subject, attack, cases, label="ablate the top heads")
    return [
        {"kind": kind, "k": k, **_shown(cell, pool), "rates": _rates(cell) | outcome_counts(cell)}
        for (kind, k), cell in zip(settings, cells, strict=True)
    ]


def _single(subject: Subject, attack: Attack, ranked: list[Head], pool: TextPool) -> list[dict[str, Any]]:
    cases = [Case((Ablation([head]),), SHOWN) for head in ranked]
    cells = run_cases(subject, attack, cases, label="ablate single heads")
    return [
        {"kind": "zero", "head": list(head), **_shown(cell, pool)}
        for head, cell in zip(ranked, cells, strict=True)
    ]


def _random(subject: Subject, attack: Attack, ranked: list[Head], ks: list[int]) -> list[dict[str, Any]]:
    settings = [(kind, k, draw) for kind in KINDS for k in ks for draw in range(DRAWS)]
    cases = [
        Case(
            (
                Ablation(random_heads(ranked[:k], subject.n_heads, seed=draw), kind=kind).prepared(
                    subject, attack
                ),
            ),
            N_RANDOM,
            # Each draw has its own prompts: all draws together are measured on those of the top heads.
            start=draw * N_RANDOM % N_TOP,
        )
        for kind, k, draw in settings
    ]
    cells = run_cases(subject, attack, cases, label="ablate random heads")
    rows = []
    for start in range(0, len(settings), DRAWS):
        kind, k, _ = settings[start]
        rates = [_rates(cell) for cell in cells[start : start + DRAWS]]
        values = {name: [rate[name]["value"] for rate in rates] for name in ("asr", "as_before", "utility")}
        rows.append({"kind": kind, "k": k, "draws": DRAWS, "n": N_RANDOM, **values})
    return rows


def _shown(cell: Cell, pool: TextPool) -> dict[str, Any]:
    return {"clean": pool.refer(cell.clean), "triggered": pool.refer(cell.triggered)}


def _rates(cell: Cell) -> dict[str, Any]:
    return {
        "asr": share(cell.triggered, "P"),
        "as_before": share(cell.triggered, "="),
        "utility": share(cell.clean, "="),
    }
