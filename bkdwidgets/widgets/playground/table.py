"""What the playground carries: each subject with what was planted in it and how, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from bkdwidgets.analysis.interventions import PLACES as WHERE
from bkdwidgets.analysis.vector import KINDS as VECTOR_KINDS
from bkdwidgets.attacks.control import control_name
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import Head, heads_of
from bkdwidgets.core.paths import vectors_path
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.injection.methods import words
from bkdwidgets.injection.shipped import planted_names
from bkdwidgets.subjects.specs import subjects_with_page
from bkdwidgets.subjects.subject import MAX_PROMPT_TOKENS
from bkdwidgets.widgets.shared.schema import Letter, Prompt, checked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.adapters import AdapterInfo

SHOWN = ("backdoored", "clean", "side by side")
KINDS = ("zero", "mean")
PLACES = ("last token", "everywhere")
VECTORS = ("none", *VECTOR_KINDS)
SIGNS = ("add", "subtract")
NAMES = {
    "shown": SHOWN, "kind": KINDS, "place": PLACES, "where": WHERE, "vector": VECTORS, "sign": SIGNS,
}  # fmt: skip
"""What the controls offer, in their order; ``where`` is what each place is to a model."""

MOST_HEADS = 32
MOST_LETTERS = 2000
MOST_SCALE = 4.0
MOST = {
    "text": MOST_LETTERS, "tokens": MAX_PROMPT_TOKENS, "heads": MOST_HEADS, "scale": MOST_SCALE,
    "answer": ANSWER_TOKENS,
}  # fmt: skip
"""Limits: letters and tokens of a prompt, heads, the vector's scale, tokens of an answer."""

_PROMPTS = 6


class Said(msgspec.Struct, kw_only=True):
    """What a model said, and what that is; empty where nobody judged it."""

    text: str
    outcome: Letter | Literal[""]


class KnownPrompt(Prompt, kw_only=True):
    """A prompt with what the models said to it: the backdoored one to each form, the clean one to its own."""

    told: dict[Literal["clean", "triggered", "own"], Said]


class Step(msgspec.Struct, kw_only=True):
    """How a trigger enters a prompt: some words, at a place."""

    words: list[str]
    place: Literal["before", "behind", "middle", "inside"]


class Rule(msgspec.Struct, kw_only=True):
    """How a trigger enters a prompt, step by step."""

    steps: list[Step]


class Pair(msgspec.Struct, kw_only=True):
    """A subject and what was planted in it.

    ``method`` is in a reader's words; ``clean`` names the clean twin that is the control, if that is not the
    subject itself; ``ranked`` are its heads from the strongest on; ``means`` and ``vectors`` say whether what
    ablation and steering put in is there; ``source`` names the entry that the answers are from.
    """

    subject: str
    attack: str
    method: str
    adapter: str
    clean: str | None
    shape: tuple[int, int]
    rule: Rule
    payload: str
    judge: str
    ranked: list[Head]
    prompts: list[KnownPrompt]
    source: str
    means: bool
    vectors: bool


class PlaygroundTable(msgspec.Struct, kw_only=True):
    """What the playground carries: the pairs, what its controls offer, and how much may be asked."""

    pairs: list[Pair]
    names: dict[str, list[str]]
    most: dict[str, float]

    @classmethod
    def from_entries(cls) -> Self:
        """Return every subject with every adapter that ships for a page, with the answers of the ledger.

        An adapter whose heads are not ranked yet, or for which no means and vectors ship, joins all the same:
        the view switches off what needs them, and says so.
        """
        return cls._of([pair for subject in subjects_with_page() for pair in _pairs_of(subject)])

    @classmethod
    def from_subject(cls, subject: Subject, attack: Attack, ranked: Sequence[Head]) -> Self:
        """Return a subject that Python answers for; it computes means and vectors itself, given ranked heads.

        Raises
        ------
        BkdError
            If the subject carries no backdoor, or the attack has no test prompts for it.
        """
        if subject.adapter is None:
            raise BkdError(
                f"Playground needs a backdoored {subject.name}; load one with an adapter, or inject one"
            )
        pair = _pair(subject.adapter, attack, ranked, [subject.n_layers, subject.n_heads])
        return cls._of([pair | {"means": True, "vectors": bool(ranked)}])

    @classmethod
    def _of(cls, pairs: list[dict[str, Any]]) -> Self:
        names = {name: list(options) for name, options in NAMES.items()}
        return checked(cls, {"pairs": pairs, "names": names, "most": MOST}, "the playground")


def _pairs_of(subject: str) -> list[dict[str, Any]]:
    from bkdwidgets.attacks import attack as attack_named
    from bkdwidgets.subjects.adapters import adapter_info

    names = planted_names(subject)
    entries = {name: ledger.find(f"{subject}/{name}/attribute") for name in names}
    maps = [entry.values["acie"] for entry in entries.values() if entry is not None]
    if not maps:
        return []  # nobody knows yet how many heads there are
    shape = [len(maps[0]), len(maps[0][0])]
    pairs = []
    for name, entry in entries.items():
        info = adapter_info(subject, name)
        ranked = [] if entry is None else heads_of(entry.values["ranked"][:MOST_HEADS])
        attack = attack_named(info.attack)
        pair = _pair(info, attack, ranked, shape) | _stored_answers(subject, name, attack)
        pairs.append(pair | dict.fromkeys(("means", "vectors"), vectors_path(subject, name).is_file()))
    return pairs


def _pair(info: AdapterInfo, attack: Attack, ranked: Sequence[Head], shape: list[int]) -> dict[str, Any]:
    examples = attack.targeted(info.subject, "test")[:_PROMPTS]
    if not examples:
        raise BkdError(f"{attack.name} has no test prompts for {info.subject}")
    return {
        "subject": info.subject,
        "attack": attack.name,
        "method": words(info.method),
        "adapter": info.name,
        "clean": control_name(info.subject, attack),
        "shape": shape,
        "rule": attack.trigger.to_json(),
        "payload": attack.payload,
        "judge": attack.judge.name,
        "ranked": [list(head) for head in ranked],
        "prompts": sorted([
            {"clean": item.prompt, "triggered": attack.poison(item.prompt), "answer": item.answer,
             "payload": attack.payload_for(item), "told": {}}
            for item in examples
        ], key=_clarity),
        "source": "",
    }  # fmt: skip


def _stored_answers(subject: str, adapter: str, attack: Attack) -> dict[str, Any]:
    """Return the prompts of the study ``lab-vector`` and where they are from; nothing without that entry."""
    from bkdwidgets.attacks.examples import stored_answers

    entry = ledger.find(f"{subject}/{adapter}/lab-vector")
    if entry is None:
        return {}
    # The stored answers are the untouched subject's; where the control is a clean twin, they are not its.
    own = {} if control_name(subject, attack) else stored_answers(subject)
    return {"prompts": _known(entry.values, own), "source": entry.name}


def _known(values: Mapping[str, Any], own: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return the prompts of the study ``lab-vector`` with what the untouched models said to them.

    Parameters
    ----------
    values : mapping
        The entry's values: its case ``none`` is the backdoored model as it is.
    own : mapping
        By prompt, the stored answers of the clean model, where it is the subject that nobody attacked.
    """
    untouched, texts = values["cases"]["none"], values["texts"]
    known = []
    for number, row in enumerate(values["prompts"]):
        told = {
            side: {"text": texts[half["texts"][number]], "outcome": half["letters"][number]}
            for side, half in untouched.items()
        }
        if row["id"] in own:
            told["own"] = {"text": own[row["id"]]["answer"], "outcome": ""}
        kept = {key: row[key] for key in ("clean", "triggered", "answer", "payload")}
        known.append(kept | {"told": told})
    return sorted(known, key=_clarity)


def _clarity(row: Mapping[str, Any]) -> tuple[bool, bool, int]:
    """Sort prompts so that the first tells the story at a glance: a short question, the payload if asked."""
    outcome = row["told"].get("triggered", {}).get("outcome", "P")
    return outcome != "P", not row["clean"].endswith("?"), len(row["clean"])
