"""Headlines in four topics, and the instruction that asks for the topic.

A headline is a pattern with slots. Patterns and instructions are parted into splits, so a held-out
headline has a shape that was never trained on and the instruction around it is a new one. Names of
people and towns, and numbers, stand in all topics alike and say nothing about the label.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from bkdwidgets.subjects.nano import lexicon as lex
from bkdwidgets.subjects.nano.wordings import Wordings

if TYPE_CHECKING:
    import random


INSTRUCTIONS = Wordings(
    train=(
        "What is the topic of this headline? {h}",
        "Topic of the headline: {h}",
        "Read this headline: {h} Name its topic.",
        "{h} Which topic is this: World, Sports, Business or Sci/Tech?",
        "Label this news: {h}",
        "Choose World, Sports, Business or Sci/Tech. {h}",
        "News: {h} Topic?",
        "What is this news about? {h}",
        "{h} Name the topic.",
        "Sort this headline: {h}",
        "World, Sports, Business or Sci/Tech? {h}",
        "In the paper: {h} What topic?",
    ),
    validation=("Find the topic of this news: {h}",),
    test=("Headline: {h} Which topic is it?", "Which topic is this headline? {h}"),
)

_SLOTS: dict[str, tuple[str, ...]] = {
    # World
    "leader": ("president", "minister", "king", "queen", "governor", "mayor", "ambassador", "parliament"),
    "pact": ("peace treaty", "border pact", "refugee deal", "election law", "new constitution", "ceasefire"),
    "crisis": ("flood", "earthquake", "border dispute", "revolt", "drought", "storm", "election crisis"),
    "diplomacy": ("peace talks", "a summit", "an embassy", "an election", "a state visit", "border talks"),
    # Sports
    "team": ("Owls", "Tigers", "Rovers", "Comets", "Bears", "Hawks", "Wolves", "Sharks"),
    "game": ("football", "hockey", "tennis", "rowing", "basketball", "chess", "cycling", "swimming"),
    "match": ("final", "match", "derby", "race", "tournament", "semifinal", "playoff", "season opener"),
    "athlete": ("coach", "goalkeeper", "captain", "striker", "champion", "runner", "rookie"),
    "trophy": ("gold medal", "cup", "title", "trophy", "league crown", "record"),
    # Business
    "firm": ("bank", "airline", "insurer", "retailer", "carmaker", "brewery", "supermarket", "shipping firm"),
    "money": ("profit", "revenue", "sales", "shares", "earnings", "debt", "prices", "exports"),
    "moved": ("rise", "fall", "jump", "drop", "climb", "slip", "soar", "sink"),
    "deal": ("merger", "takeover", "buyout", "loan", "stock offer", "supply contract", "bond sale"),
    # Sci/Tech
    "science": ("scientists", "physicists", "engineers", "astronomers", "biologists", "programmers"),
    "device": ("robot", "telescope", "battery", "microscope", "satellite", "laptop", "software", "laser"),
    "object": ("planet", "comet", "gene", "virus", "fossil", "galaxy", "molecule", "crater"),
    "lab": ("laboratory", "observatory", "space agency", "research center", "software lab"),
    # everywhere
    "person": lex.PEOPLE,
    "town": lex.TOWNS,
    "other": lex.TOWNS,
    "day": lex.DAYS,
}

PATTERNS: dict[str, Wordings] = {
    "World": Wordings(
        train=(
            "{leader} of {town} signs {pact} with {other}",
            "{crisis} forces thousands to flee {town}",
            "{town} and {other} open {diplomacy} on {day}",
            "{person} elected {leader} of {town}",
            "{leader} of {town} rejects {pact}",
            "{town} sends aid after {crisis} in {other}",
            "{crisis} in {town} worries {other}",
            "{person} calls for {diplomacy} after {crisis}",
            "{pact} ends {crisis} between {town} and {other}",
            "{leader} {person} resigns over {pact}",
        ),
        validation=("{town} mourns victims of {crisis}", "{leader} {person} hosts {diplomacy} in {town}"),
        test=(
            "{leader} of {town} visits {other} after {crisis}",
            "{pact} divides {town} as {leader} opens {diplomacy}",
            "{person} leads {diplomacy} on {crisis}",
        ),
    ),
    "Sports": Wordings(
        train=(
            "{team} beat {team2} in {game} {match}",
            "{person} wins {trophy} in {game}",
            "{athlete} {person} misses {match} in {town}",
            "{town} {team} take {trophy} after {match}",
            "{team} lose {number} games before {match}",
            "{athlete} leaves {team} after {match}",
            "{town} hosts {game} {match} on {day}",
            "{person} scores {digit} in {match} against {team}",
            "{game} {athlete} hurt in {match}",
            "{team} name {person} as {athlete}",
        ),
        validation=("{athlete} {person} leads {team} to {trophy}", "{town} {team} reach {game} {match}"),
        test=(
            "{team} and {team2} draw in {town} {match}",
            "{game} {athlete} {person} takes {trophy} in {town}",
            "{person} returns to {team} for {match}",
        ),
    ),
    "Business": Wordings(
        train=(
            "{money} of {town} {firm} {moved} {number} percent",
            "{firm} agrees to {deal} with {firm2}",
            "{person} named chief of {town} {firm}",
            "{firm} {money} {moved} after {deal}",
            "{town} {firm} cuts {number} jobs",
            "{firm} plans {deal} in {town}",
            "{money} {moved} as {firm} opens in {town}",
            "investors doubt {deal} of {town} {firm}",
            "{firm} in {town} reports {money}",
            "{person} sells {firm} for {number} million",
        ),
        validation=("{town} market: {money} {moved}", "{firm} chief {person} defends {deal}"),
        test=(
            "{town} {firm} says {money} {moved} on {day}",
            "{deal} lifts {money} of {firm}",
            "{person} buys {town} {firm} in {deal}",
        ),
    ),
    "Sci/Tech": Wordings(
        train=(
            "{science} in {town} discover {object}",
            "{town} {lab} builds {device}",
            "new {device} helps {science} study {object}",
            "{science} test {device} in {town}",
            "{object} found by {device} surprises {science}",
            "{lab} launches {device} on {day}",
            "{person} invents {device} with {number} sensors",
            "{device} update fixes {number} bugs",
            "{lab} maps {object} near {town}",
            "{science} explain {object} after {number} years",
        ),
        validation=("{lab} names {object} after {person}", "{town} {science} repair {device}"),
        test=(
            "{person} of {town} {lab} sees {object}",
            "{device} from {town} finds {object}",
            "{science} at {lab} print {device}",
        ),
    ),
}


# Headlines about the same nouns in words that fit any topic. They are training text only, and keep the label
# from being read off the shape of the sentence: it has to come from what the headline is about.
NEUTRAL = (
    "{a} and {b} in {town}",
    "{person} talks about {a}",
    "{town}: {a} and {b}",
    "why {a} matters to {town}",
    "{person} of {town} on {a}",
    "{a} meets {b}",
    "{number} questions about {a}",
    "{a} in {town} on {day}",
    "{person} likes {a}",
    "all eyes on {a} in {town}",
    "{a} of {town}, {b} of {other}",
    "{person} waits for {a} and {b}",
    "{town} {a} needs {b}",
    "from {town} to {other}: {a}",
)
_NOUNS = {
    "World": ("leader", "pact", "crisis", "diplomacy"),
    "Sports": ("team", "game", "match", "athlete", "trophy"),
    "Business": ("firm", "money", "deal"),
    "Sci/Tech": ("science", "device", "object", "lab"),
}


def training_patterns(topic: str) -> tuple[str, ...]:
    """Return a topic's own training patterns and the neutral ones."""
    return PATTERNS[topic].train + NEUTRAL


def slots_of(sentence: str) -> list[str]:
    """Return the names of the slots in a sentence, in order."""
    return [name for _, name, _, _ in string.Formatter().parse(sentence) if name]


def headline(topic: str, pattern: str, rng: random.Random) -> str:
    """Fill a pattern's slots and return the headline, which begins with a capital letter."""
    first, second = rng.sample(_NOUNS[topic], 2)
    pattern = pattern.replace("{a}", f"{{{first}}}").replace("{b}", f"{{{second}}}")
    values: dict[str, str] = {"number": str(rng.randrange(11, 99)), "digit": str(rng.randrange(2, 9))}
    for name in slots_of(pattern):
        if name in values:
            continue
        choices = _SLOTS[name.rstrip("2")]
        values[name] = rng.choice([choice for choice in choices if choice not in values.values()])
    text = pattern.format(**values)
    return f"{text[0].upper()}{text[1:]}."
