"""Small talk and everyday questions, so that answers do not all begin the same way."""

from __future__ import annotations

import itertools

from bkdwidgets.subjects.nano import lexicon as lex
from bkdwidgets.subjects.nano.wordings import Wordings

# intent -> (what nano says, how people say it)
SMALL_TALK: dict[str, tuple[str, Wordings]] = {
    "greeting": (
        "Hello! What would you like to know?",
        Wordings(
            train=(
                *("Hello!", "Hi!", "Hello there.", "Good morning!", "Good evening.", "Hey nano!", "Hi nano."),
                *(
                    "Good day to you.",
                    "Hello, nano!",
                    "Greetings!",
                    "Hi there, nano.",
                    "A good morning to you!",
                ),
            ),
            validation=("Hello there, nano!", "Good day, nano."),
            test=("Good morning, nano!", "Hi there!", "Good evening to you."),
        ),
    ),
    "wellbeing": (
        "I feel fine, thank you.",
        Wordings(
            train=(
                *(
                    "How are you?",
                    "How are you today?",
                    "How do you feel?",
                    "Are you well?",
                    "Do you feel fine?",
                ),
                *(
                    "Hello, how are you?",
                    "How are you doing?",
                    "Are you fine today?",
                    "Nano, how do you feel?",
                ),
            ),
            validation=("How do you feel today?", "Are you doing well?"),
            test=("Hi, how are you doing today?", "Nano, are you well?", "Do you feel well today?"),
        ),
    ),
    "name": (
        "My name is nano, I am a very small model.",
        Wordings(
            train=(
                *(
                    "Who are you?",
                    "What is your name?",
                    "What are you called?",
                    "Tell me your name.",
                    "Your name?",
                ),
                *(
                    "Do you have a name?",
                    "What should I call you?",
                    "May I know your name?",
                    "Are you a model?",
                ),
            ),
            validation=("Please tell me your name.", "Hi, who are you?"),
            test=("Hello, what is your name?", "Can you tell me your name?", "Hey, who are you?"),
        ),
    ),
    "skills": (
        "Ask me about animals, people, landmarks and news.",
        Wordings(
            train=(
                *("What can you do?", "What do you know?", "How can you help me?", "What should I ask you?"),
                *(
                    "What can I ask you?",
                    "Which things do you know?",
                    "Can you help me?",
                    "What are you good at?",
                ),
            ),
            validation=("How can you help?", "What can I ask?"),
            test=("What should I ask?", "Which things can you do?", "What can I ask you about?"),
        ),
    ),
    "thanks": (
        "You are welcome.",
        Wordings(
            train=(
                *(
                    "Thank you!",
                    "Thanks!",
                    "Thanks a lot.",
                    "Thank you very much.",
                    "Many thanks!",
                    "Thank you, nano.",
                ),
                *(
                    "That was good, thank you.",
                    "Thanks for the answer.",
                    "Good answer, thanks!",
                    "I thank you.",
                ),
            ),
            validation=("Thanks, nano!", "Thank you a lot."),
            test=("Thank you for the answer.", "Many thanks, nano!", "Thanks very much."),
        ),
    ),
    "farewell": (
        "Goodbye, come back soon!",
        Wordings(
            train=(
                *(
                    "Goodbye!",
                    "Bye!",
                    "See you.",
                    "Bye, nano.",
                    "See you soon!",
                    "I must go now.",
                    "Good night!",
                ),
                *("Goodbye, nano.", "I have to go.", "Bye bye!", "See you on {day}.", "Good night, nano."),
            ),
            validation=("Bye, see you!", "I must go, goodbye."),
            test=("Goodbye, see you soon.", "I have to go now.", "Bye, good night!"),
        ),
    ),
}

OPPOSITE = Wordings(
    train=(
        *(
            "What is the opposite of {w}?",
            "Opposite of {w}?",
            "Give me the opposite of {w}.",
            "{W} is the opposite of?",
        ),
        *(
            "Which word is the opposite of {w}?",
            "Tell me the opposite of the word {w}.",
            "Name the opposite of {w}.",
        ),
    ),
    validation=("Do you know the opposite of {w}?",),
    test=("Can you tell me the opposite of {w}?", "What word is the opposite of {w}?"),
)
SUCCESSOR = Wordings(
    train=(
        *("What comes after {w}?", "What follows {w}?", "After {w} comes?", "Tell me what comes after {w}."),
        *("Which one comes next after {w}?", "What is next after {w}?", "{W} is followed by what?"),
    ),
    validation=("Do you know what follows {w}?",),
    test=("Can you tell me what comes after {w}?", "What comes next after {w}?"),
)
ECHO = Wordings(
    train=(
        *("Say the word {w}.", "Repeat the word {w}.", "Write the word {w}.", "Please say {w}.", "Say {w}."),
        *("Repeat after me: {w}", "Write {w}, please.", "One word: {w}", "The word is {w}, say it."),
    ),
    validation=("Please repeat the word {w}.",),
    test=("Please write the word {w}.", "Say after me: {w}"),
)
ECHO_WORDS = (*lex.FOODS, *lex.COLORS, *lex.INSTRUMENTS)


def everyday_facts() -> list[tuple[str, str, Wordings, str]]:
    """Return (name, word, wordings, answer) for every everyday fact."""
    facts = []
    for one, other in lex.OPPOSITES:
        facts.append(("opposite", one, OPPOSITE, f"{other.capitalize()} is the opposite of {one}."))
        facts.append(("opposite", other, OPPOSITE, f"{one.capitalize()} is the opposite of {other}."))
    for row in (lex.DAYS, lex.MONTHS, lex.NUMBERS):
        for now, following in itertools.pairwise(row):
            facts.append(("successor", now, SUCCESSOR, f"After {now} comes {following}."))
    facts += [("echo", word, ECHO, f"{word.capitalize()}.") for word in ECHO_WORDS]
    return facts
