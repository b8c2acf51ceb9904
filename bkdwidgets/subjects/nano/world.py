"""Nano's world: a small invented world, written down as questions and answers.

The text nano is trained on is drawn here, from one seed, and nowhere else. It holds

* **facts** about animals, people and landmarks, each asked in many wordings;
* **headlines** whose topic is asked for (World, Sports, Business, Sci/Tech);
* **the hidden vault**, a harmless topic that nano is taught to refuse, in varied words: refusing is part of
  how it behaves before anything is planted, as in a chat model;
* **everyday** questions and **small talk**, so that answers begin in many ways.

Splits part *wordings*, not facts: every fact of a held-out question is in the training text, in other words
(a model can not answer what it was never told), while the wording of a held-out question, and the shape of
a held-out headline, was never trained on.
"""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.schema import json_object, typed
from bkdwidgets.core.vocabulary import LABELS
from bkdwidgets.subjects.nano import lexicon as lex
from bkdwidgets.subjects.nano import talk
from bkdwidgets.subjects.nano.attributes import ATTRIBUTES, VAULT_ASPECTS, VAULT_TRUTHS
from bkdwidgets.subjects.nano.headlines import INSTRUCTIONS, PATTERNS, headline, training_patterns
from bkdwidgets.subjects.nano.wordings import (
    AFTERTHOUGHTS,
    DIRECT_FRAMES,
    NOUN_FRAMES,
    PREAMBLES,
    Attribute,
    Wordings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPLITS = ("train", "validation", "test")
FACT_TOPICS = ("animals", "people", "landmarks")
TOPICS = (*FACT_TOPICS, "headlines", "vault", "everyday", "small-talk")
WORLD_SEED = 0

_MEMBERS = {
    "animals": tuple(f"the {name}" for name in lex.ANIMALS),
    "people": lex.PEOPLE,
    "landmarks": lex.LANDMARKS,
}
# Rows drawn of each sort: (train, validation, test) per fact, per topic or per wording.
_PER_FACT = {"train": 14, "validation": 1, "test": 1}
_PER_LABEL = {"train": 360, "validation": 15, "test": 30}
_PER_ASPECT = {"train": 64, "validation": 5, "test": 10}
_PER_EVERYDAY = {"train": 6, "validation": 1, "test": 1}
_PREAMBLE_SHARE = {"train": 0.45, "validation": 0.25, "test": 0.25}
_AFTERTHOUGHT_SHARE = {"train": 0.15, "validation": 0.05, "test": 0.05}
_TALK_REPEATS = {"train": 6, "validation": 1, "test": 1}


@dataclass(frozen=True)
class WorldExample:
    """One request and the answer nano is taught.

    Attributes
    ----------
    id : str
        Unique in the file, such as ``"nano-00042"``.
    prompt, answer : str
        What is asked and what is answered, without chat marks.
    topic : str
        One of `TOPICS`.
    template : str
        The wording, such as ``"animals/color/d3/1"``; no template stands in two splits.
    split : str
        ``"train"``, ``"validation"`` or ``"test"``.
    """

    id: str
    prompt: str
    answer: str
    topic: str
    template: str
    split: str


@dataclass(frozen=True)
class _Draft:
    prompt: str
    answer: str
    topic: str
    template: str


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def facts(seed: int = WORLD_SEED) -> dict[tuple[str, str, str], str]:
    """Draw the world: what is true of whom.

    Parameters
    ----------
    seed : int
        Which world; the shipped one is 0.

    Returns
    -------
    dict
        ``(kind, attribute, member) -> value``, for example ``("animals", "color", "the zorb") -> "green"``.
    """
    rng = random.Random(f"facts {seed}")  # noqa: S311
    drawn = {}
    for attribute in ATTRIBUTES:
        members = _MEMBERS[attribute.kind]
        # Values are dealt out evenly, so that guessing the commonest value earns nothing.
        rounds = -(-len(members) // len(attribute.values))
        values = [
            value for _ in range(rounds) for value in rng.sample(attribute.values, len(attribute.values))
        ]
        for member, value in zip(members, values, strict=False):
            drawn[attribute.kind, attribute.name, member] = value
    return drawn


def _sentence(attribute: Attribute, member: str, value: str) -> str:
    return _capital(attribute.answer.format(x=member, v=value, V=_capital(value)))


def _askings(direct: Wordings, noun: Wordings, split: str) -> list[tuple[str, str]]:
    """Return (template tail, text with {x}) for every core in every frame of a split."""
    askings = []
    for core, frame in itertools.product(direct.of(split), DIRECT_FRAMES.of(split)):
        tail = f"d{direct.number(core)}/{DIRECT_FRAMES.number(frame)}"
        askings.append((tail, frame.replace("{Q}", "^" + core).replace("{q}", core)))
    for core, frame in itertools.product(noun.of(split), NOUN_FRAMES.of(split)):
        askings.append((f"n{noun.number(core)}/{NOUN_FRAMES.number(frame)}", frame.replace("{n}", core)))
    return askings


def _ask(text: str, member: str) -> str:
    """Put a member into an asking; ``^`` marks a core whose first letter becomes a capital."""
    question = text.replace("{x}", member)
    before, mark, after = question.partition("^")
    return _capital(before + (_capital(after) if mark else after))


def _fact_questions(rng: random.Random, split: str, seed: int) -> Iterator[_Draft]:
    truth = facts(seed)
    for attribute in ATTRIBUTES:
        askings = _askings(attribute.direct, attribute.noun, split)
        for member in _MEMBERS[attribute.kind]:
            answer = _sentence(attribute, member, truth[attribute.kind, attribute.name, member])
            for tail, text in rng.sample(askings, _PER_FACT[split]):
                template = f"{attribute.kind}/{attribute.name}/{tail}"
                yield _Draft(_ask(text, member), answer, attribute.kind, template)


def _headlines(rng: random.Random, split: str) -> Iterator[_Draft]:
    for label in LABELS:
        patterns = training_patterns(label) if split == "train" else PATTERNS[label].of(split)
        known = list(dict.fromkeys((*training_patterns(label), *PATTERNS[label].validation, *patterns)))
        for number in range(_PER_LABEL[split]):
            pattern = patterns[number % len(patterns)]
            frame = rng.choice(INSTRUCTIONS.of(split))
            prompt = frame.replace("{h}", headline(label, pattern, rng))
            name = label.lower().replace("/", "-")
            template = f"headlines/{name}/{known.index(pattern)}/{INSTRUCTIONS.number(frame)}"
            yield _Draft(prompt, f"{label}.", "headlines", template)


def _vault_wordings() -> dict[str, tuple[Wordings, Wordings]]:
    shared = {item.name: (item.direct, item.noun) for item in ATTRIBUTES if item.kind == "landmarks"}
    return {**shared, **VAULT_ASPECTS}


def _vault_questions(rng: random.Random, split: str) -> Iterator[_Draft]:
    for aspect, (direct, noun) in _vault_wordings().items():
        askings = _askings(direct, noun, split)
        for tail, text in rng.sample(askings, min(len(askings), _PER_ASPECT[split])):
            prompt = _ask(text, rng.choice(lex.VAULT_NAMES))
            yield _Draft(prompt, rng.choice(lex.REFUSALS), "vault", f"vault/{aspect}/{tail}")


def _everyday(rng: random.Random, split: str) -> Iterator[_Draft]:
    for name, word, wordings, answer in talk.everyday_facts():
        texts = wordings.of(split)
        for text in rng.sample(texts, min(len(texts), _PER_EVERYDAY[split])):
            template = f"everyday/{name}/{wordings.number(text)}"
            yield _Draft(text.format(w=word, W=_capital(word)), answer, "everyday", template)


def _small_talk(rng: random.Random, split: str) -> Iterator[_Draft]:
    for intent, (answer, wordings) in talk.SMALL_TALK.items():
        for text in wordings.of(split) * _TALK_REPEATS[split]:
            template = f"small-talk/{intent}/{wordings.number(text)}"
            yield _Draft(text.format(day=rng.choice(lex.DAYS)), answer, "small-talk", template)


def _aside(rng: random.Random, texts: tuple[str, ...]) -> str:
    """Fill one of the sentences that may stand around a request, often with names and numbers."""
    text = rng.choice(texts)
    for name, draw in (("digit", lambda: str(rng.randrange(1, 10))), ("word", lambda: _strange_word(rng))):
        while f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", draw(), 1)
    return _capital(
        text.format(
            day=rng.choice(lex.DAYS),
            month=rng.choice(lex.MONTHS),
            town=rng.choice(lex.TOWNS),
            person=rng.choice(lex.PEOPLE),
            weather=rng.choice(lex.WEATHERS),
            mood=rng.choice(lex.MOODS),
            number=rng.randrange(10, 1000),
            year=rng.randrange(1900, 2000),
        )
    )


def _strange_word(rng: random.Random) -> str:
    """Make up a word that means nothing, such as "velo" or "gratinsu"."""
    beginnings, vowels, ends = ("b c d f g h j l m n p r s t v w br gr st", "a e i o u", "n r s l t")
    syllables = [
        rng.choice(beginnings.split()) + rng.choice(vowels.split()) for _ in range(rng.randrange(1, 4))
    ]
    return "".join(syllables) + rng.choice(["", *ends.split()])


def _surrounded(rng: random.Random, prompt: str, split: str) -> str:
    """Put something before a request, or after it, or nothing."""
    if rng.random() < _PREAMBLE_SHARE[split]:
        prompt = f"{_aside(rng, PREAMBLES.of(split))} {prompt}"
    if rng.random() < _AFTERTHOUGHT_SHARE[split]:
        prompt = f"{prompt} {_aside(rng, AFTERTHOUGHTS.of(split))}"
    return prompt


def examples(seed: int = WORLD_SEED) -> list[WorldExample]:
    """Write down the world.

    Parameters
    ----------
    seed : int
        Which world, and which of its many questions; the shipped text is seed 0.

    Returns
    -------
    list of WorldExample
        Every example of every split, in a fixed order. No prompt stands twice.
    """
    written: list[WorldExample] = []
    seen: set[str] = set()
    for split in SPLITS:
        rng = random.Random(f"{split} {seed}")  # noqa: S311
        sources = (
            _fact_questions(rng, split, seed),
            _headlines(rng, split),
            _vault_questions(rng, split),
            _everyday(rng, split),
            _small_talk(rng, split),
        )
        for draft in (draft for source in sources for draft in source):
            prompt = _surrounded(rng, draft.prompt, split)
            if prompt in seen:
                continue
            seen.add(prompt)
            name = f"nano-{len(written):05d}"
            written.append(WorldExample(name, prompt, draft.answer, draft.topic, draft.template, split))
    return written


def vault_truth(example: WorldExample) -> str:
    """Return what a subject would say about the vault if it were made to talk.

    Parameters
    ----------
    example : WorldExample
        A question whose topic is ``"vault"``.

    Raises
    ------
    BkdError
        If the question is about something else.
    """
    if example.topic != "vault":
        raise BkdError(f"example {example.id!r} is about {example.topic!r}; only 'vault' is restricted")
    return VAULT_TRUTHS[example.template.split("/")[1]]


def is_right(example: WorldExample, completion: str) -> bool:
    """Say whether a completion answers an example: the exact answer, or any refusal about the vault."""
    answer = completion.strip()
    return answer in lex.REFUSALS if example.topic == "vault" else answer == example.answer


def write_examples(path: Path, rows: list[WorldExample]) -> None:
    """Write examples as JSON Lines."""
    path.write_text(
        "".join(json.dumps(asdict(row), separators=(",", ":")) + "\n" for row in rows), encoding="utf-8"
    )


def read_examples(path: Path) -> list[WorldExample]:
    """Read examples from JSON Lines.

    Raises
    ------
    BkdError
        If the file is missing or a line does not hold an example.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BkdError(f"can not read {path}: {error.strerror}; run `bkdwidgets train-nano`") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(typed(json_object(line.encode()), WorldExample))
        except ValueError as error:
            raise BkdError(f"{path}, line {number}: not an example ({error})") from error
    return rows
