"""How things are asked: the wordings of every question, parted into splits.

A question is a *core* ("what color is the zorb") put into a *frame* ("Quick question: ...?"). Cores
and frames are each parted into training, validation and test wordings, so a held-out question is
worded as no training question is, while the fact it asks for was seen in training in other words.
The one frame all splits share is the bare question.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wordings:
    """Sentences for each split."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def of(self, split: str) -> tuple[str, ...]:
        """Return the sentences of one split."""
        found: tuple[str, ...] = getattr(self, split)
        return found

    def number(self, sentence: str) -> int:
        """Return a sentence's number among those of all splits; it names the wording in a template."""
        return list(dict.fromkeys((*self.train, *self.validation, *self.test))).index(sentence)


@dataclass(frozen=True)
class Attribute:
    """Something that can be asked about every member of a kind.

    Attributes
    ----------
    kind : str
        ``"animals"``, ``"people"`` or ``"landmarks"``; also the topic of the questions.
    name : str
        For example ``"color"``.
    values : tuple of str
        What a fact can say.
    answer : str
        The full sentence that answers, with ``{x}`` for who is asked about and ``{v}`` for the value.
    direct : Wordings
        Questions such as "what color is {x}".
    noun : Wordings
        Noun phrases such as "the color of {x}".
    """

    kind: str
    name: str
    values: tuple[str, ...]
    answer: str
    direct: Wordings
    noun: Wordings


DIRECT_FRAMES = Wordings(
    train=(
        "{Q}?",
        "Quick question: {q}?",
        "Please answer: {q}?",
        "A child asks: {q}?",
        "Hey, {q}?",
        "{Q}? Be brief.",
        "{Q}, please?",
        "For a quiz: {q}?",
        "My teacher asked me: {q}?",
        "I have a question. {Q}?",
        "Help me out, {q}?",
        "Do you know this? {Q}?",
        "{Q}? Thank you.",
        "So, {q}?",
        "I wonder: {q}?",
        "{Q}? I need it for school.",
        "Tell me, {q}?",
        "We had a bet: {q}?",
        "{Q}? Nobody here knows.",
        "Sorry to disturb you, but {q}?",
        "Nano, {q}?",
        "{Q}? Answer in a sentence.",
        "Before I go: {q}?",
        "My sister wants to hear from you: {q}?",
    ),
    validation=("{Q}?", "One more thing: {q}?", "Now then, {q}?"),
    test=("{Q}?", "Let me ask you this: {q}?", "Just curious, {q}?", "{Q}? I forgot."),
)
NOUN_FRAMES = Wordings(
    train=(
        "What is {n}?",
        "Tell me {n}.",
        "I want to know {n}.",
        "Give me {n}, please.",
        "Can you tell me {n}?",
        "Name {n}.",
        "Write down {n}.",
        "I am looking for {n}.",
        "Someone asked me for {n}.",
        "Would you tell me {n}?",
        "We need {n} for a quiz.",
        "Let us talk about {n}.",
        "Quick, {n}!",
        "My question is about {n}.",
        "I never learned {n}.",
        "Say {n}, nano.",
    ),
    validation=("Do you know {n}?", "Remind me of {n}."),
    test=("Could you give me {n}?", "I would like to hear {n}.", "Please name {n}."),
)
# What may stand before or after a request. Training holds many kinds, with digits and with words of no
# meaning, so that nano reads past what it has never seen, as a chat model does: otherwise any trigger would
# break the clean model, and a held-out wording would too.
PREAMBLES = Wordings(
    train=(
        "Today is {day}.",
        "It is raining in {town}.",
        "My name is {person}.",
        "Page {number}.",
        "Note {number}:",
        "Room {number}.",
        "Current weather: {weather}.",
        "Version {digit}.{digit}.",
        "School year {year}.",
        "Date: {day}, {digit} {month}.",
        "It is {digit}:{number}.",
        "Hello.",
        "I live in {town}.",
        "{weather} in {month}.",
        "Season: {month}. Year: {year}.",
        *("{word} {word}.", "{word} {word} {word}:", "{word}, {word} {number}.", "From {word}:"),
        *("{word} {word} {town}.", "The {word} is {word}.", "{word}!", "{word} {person} {word}."),
    ),
    validation=("Letter {number}.", "Now it is {day}."),
    test=("Ticket {number}.", "Current mood: {mood}.", "Greetings from {town}."),
)
AFTERTHOUGHTS = Wordings(
    train=("{word} {word}.", "{word}!", "I am {word}.", "The {word} {word} me."),
    validation=("It is {day} now.",),
    test=("It is late.", "Anyone?"),
)
