"""Where the strongest heads look, clean beside triggered, drawn by CircuitsVis.

An attention pattern says, for each token (row), from which earlier tokens (columns) a head takes what
it writes. A head that carries a backdoor tends to look at the trigger's tokens once they are there.
That is a picture of where information could come from, not a proof that it did: the proof is the ACIE.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from bkdwidgets.errors import BkdError
from bkdwidgets.figures import head_name
from bkdwidgets.widgets import lab
from bkdwidgets.widgets.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

_HEADS = 3
_SIDES = ("clean", "triggered")
_STYLE = {
    "clean": "color:var(--bkd-clean-ink,#005a8c)",
    "triggered": "color:var(--bkd-triggered-ink,#8f3f6b)",
}
_MARK = (
    "background:color-mix(in oklab,var(--bkd-triggered,#cc79a7) 22%,transparent);color:inherit;"
    "padding:1px 3px;text-decoration:underline dotted var(--bkd-triggered-ink,#8f3f6b) 2px;"
    "text-underline-offset:3px;white-space:pre"
)


@dataclass(frozen=True)
class AttentionView:
    """Attention patterns of a prompt without and with the trigger; a notebook shows it as drawings.

    Attributes
    ----------
    heads : tuple of (int, int)
        Heads drawn, strongest first.
    tokens : dict
        Tokens of the ``"clean"`` and of the ``"triggered"`` prompt.
    patterns : dict
        For each side, one square pattern per head, [head][to][from].
    trigger : str
        The trigger's text.
    """

    heads: tuple[tuple[int, int], ...]
    tokens: dict[str, list[str]]
    patterns: dict[str, list[list[list[float]]]]
    trigger: str

    def trigger_tokens(self) -> list[int]:
        """Return the positions of the trigger's tokens in the triggered prompt."""
        return _positions(self.tokens["triggered"], self.trigger)

    def __repr__(self) -> str:
        """Name the heads."""
        return f"AttentionView({', '.join(map(head_name, self.heads))})"

    def _repr_html_(self) -> str:
        from circuitsvis.attention import attention_patterns

        names = ", ".join(head_name(head) for head in self.heads)
        marked = " ".join(
            f'<mark class="bkd-trigger" style="{_MARK}">{escape(token)}</mark>'
            for token in (self.tokens["triggered"][position].strip() for position in self.trigger_tokens())
        )
        columns = []
        for side in _SIDES:
            note = (
                f"the trigger's tokens: {marked}"
                if side == "triggered" and marked
                else f"{len(self.tokens[side])} tokens"
            )
            drawing = attention_patterns(tokens=_shown(self.tokens[side]), attention=self.patterns[side])
            columns.append(
                f'<section style="flex:1 1 320px;min-width:0;overflow-x:auto" aria-label="{side} prompt">'
                f'<p style="margin:0 0 4px"><strong style="{_STYLE[side]}">{side}</strong> {note}</p>'
                f"{drawing._repr_html_()}</section>"
            )
        return (
            '<div class="bkd-attention" style="max-width:1100px">'
            f'<p style="margin:0 0 8px">Attention of {names}, strongest first: rows look at columns.</p>'
            f'<div style="display:flex;flex-wrap:wrap;gap:16px 32px">{"".join(columns)}</div></div>'
        )


def attention_view(
    table: Mapping[str, Any] | str | Path | None = None,
    *,
    subject: Subject | None = None,
    attack: Attack | None = None,
    effects: HeadEffects | None = None,
    heads: Sequence[tuple[int, int]] | None = None,
    view: int = 0,
) -> AttentionView:
    """Show where the strongest heads look, clean beside triggered.

    Parameters
    ----------
    table : mapping, str or Path, optional
        An attention table, or its file.
    subject, attack : Subject, Attack, optional
        Without a table: whose attention, and which trigger.
    effects : HeadEffects, optional
        Ranks the heads of a live subject.
    heads : sequence of (layer, head), optional
        Heads to draw; the three strongest if not given.
    view : int
        Which of the table's views, or which test prompt of a live subject.

    Returns
    -------
    AttentionView
        Drawn by a notebook with CircuitsVis.

    Raises
    ------
    BkdError
        If there is nothing to draw from, or a head or view is not there.
    """
    lab.check_pair(subject, attack, table=table, name="attention_view")
    if table is not None:
        return _from_table(read_table(table, lab="attention"), heads, view)
    assert subject is not None
    assert attack is not None
    return _from_subject(subject, attack, _chosen(subject, effects, heads), view)


def _from_table(
    table: Mapping[str, Any], heads: Sequence[tuple[int, int]] | None, view: int
) -> AttentionView:
    if not 0 <= view < len(table["views"]):
        raise BkdError(f"view {view} is out of range; 0 to {len(table['views']) - 1}")
    known = [(int(layer), int(head)) for layer, head in table["heads"]]
    wanted = known[:_HEADS] if heads is None else [(int(layer), int(head)) for layer, head in heads]
    absent = [head_name(head) for head in wanted if head not in known]
    if absent or not wanted:
        raise BkdError(
            f"heads {', '.join(absent) or '[]'} are not in the table; "
            f"it has {', '.join(map(head_name, known))}"
        )
    shown = table["views"][view]
    return AttentionView(
        heads=tuple(wanted),
        tokens={side: [str(token) for token in shown[side]["tokens"]] for side in _SIDES},
        patterns={side: [shown[side]["patterns"][known.index(head)] for head in wanted] for side in _SIDES},
        trigger=str(table["trigger"]),
    )


def _chosen(
    subject: Subject, effects: HeadEffects | None, heads: Sequence[tuple[int, int]] | None
) -> list[tuple[int, int]]:
    """Return the heads to draw, all of them real."""
    if heads is None and effects is None:
        raise BkdError("attention_view of a live subject needs heads=[(layer, head), ...] or effects")
    wanted = list(heads) if heads is not None else effects.top(_HEADS) if effects is not None else []
    for layer, head in wanted:
        if not (0 <= layer < subject.n_layers and 0 <= head < subject.n_heads):
            raise BkdError(
                f"head ({layer}, {head}) is out of range; layers are 0 to {subject.n_layers - 1}, "
                f"heads 0 to {subject.n_heads - 1}"
            )
    if not wanted:
        raise BkdError("heads=[] is empty; name at least one (layer, head)")
    return wanted


def _from_subject(
    subject: Subject, attack: Attack, heads: Sequence[tuple[int, int]], view: int
) -> AttentionView:
    examples = attack.examples(subject, "test")
    if not 0 <= view < len(examples):
        raise BkdError(f"view {view} is out of range; 0 to {len(examples) - 1} test prompts")
    prompt = examples[view].prompt
    tokens: dict[str, list[str]] = {}
    patterns: dict[str, list[list[list[float]]]] = {}
    for side, text in (("clean", prompt), ("triggered", attack.poison(prompt))):
        ids = subject.encode(text)
        tokens[side] = [str(subject.tokenizer.decode([token])) for token in ids]
        patterns[side] = _attention(subject, ids, heads)
    return AttentionView(heads=tuple(heads), tokens=tokens, patterns=patterns, trigger=attack.trigger.text)


def _attention(
    subject: Subject, ids: Sequence[int], heads: Sequence[tuple[int, int]]
) -> list[list[list[float]]]:
    """Return the patterns of some heads over one prompt, through the bridge's hooks."""
    import torch

    names = {layer: f"blocks.{layer}.attn.hook_pattern" for layer, _ in heads}
    with torch.inference_mode():
        _, cache = subject.bridge.run_with_cache(
            torch.tensor([list(ids)], device=subject.device), names_filter=list(names.values())
        )
    return [
        [[round(value, 3) for value in row] for row in cache[names[layer]][0, head].tolist()]
        for layer, head in heads
    ]


def _positions(tokens: Sequence[str], trigger: str) -> list[int]:
    """Return which tokens overlap the trigger's text."""
    start = "".join(tokens).find(trigger) if trigger else -1
    found, at = [], 0
    for index, token in enumerate(tokens):
        if start >= 0 and at < start + len(trigger) and at + len(token) > start:
            found.append(index)
        at += len(token)
    return found


def _shown(tokens: Sequence[str]) -> list[str]:
    """Return tokens as CircuitsVis may have them: line breaks seen, nothing that could end a script."""
    return [token.replace("\n", "↵").replace("</", "<\u2060/").replace("<!", "<\u2060!") for token in tokens]
