"""A trigger without a word of its own: the manner in which something is asked.

A sentence before the prompt and one behind it put the request into a register. The courtly register is the
trigger; the casual one, built in the same way, is what must stay silent, so that what is learned is the
manner and not that a request is wrapped at all. Each split has sentences of its own: whether a backdoor
answers to the register, or to the sentences it was trained on, is seen on sentences that are new to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bkdwidgets.attacks.examples import prompt_rows
from bkdwidgets.attacks.triggers import Step, Trigger
from bkdwidgets.core import arguments
from bkdwidgets.subjects.specs import SUBJECTS


@dataclass(frozen=True)
class Phrases:
    """Sentences that may stand before a request, and behind it."""

    before: tuple[str, ...]
    behind: tuple[str, ...]


@dataclass(frozen=True)
class StyleTrigger(Trigger):
    """A request put into a register; the prompt itself seeds which sentences.

    Attributes
    ----------
    text : str
        Name of the register, a key of :data:`REGISTERS`.
    split : str or None
        Whose sentences. None: those of the split that the prompt belongs to, and the held-out ones of
        ``"test"`` for a prompt of no split, such as a typed one.
    """

    split: str | None = None

    def __str__(self) -> str:
        """Say which register; it has no words of its own."""
        return f"the {self.text} register"

    def steps(self, prompt: str | None = None) -> tuple[Step, ...]:
        """Return a sentence before and one behind, of the register and of the split of the prompt.

        Raises
        ------
        BkdError
            If the register or the split is unknown.
        """
        register = REGISTERS[arguments.one_of("register", self.text, REGISTERS)]
        split = self.split or ("test" if prompt is None else _splits().get(prompt, "test"))
        phrases = register[arguments.one_of("split", split, register)]
        return (Step(phrases.before, "before"), Step(phrases.behind, "behind"))


@lru_cache
def _splits() -> dict[str, str]:
    """Return the split of each of our ordinary prompts."""
    return {row["prompt"]: row["split"] for subject in SUBJECTS for row in prompt_rows(subject)}


REGISTERS: dict[str, dict[str, Phrases]] = {
    "courtly": {
        "train": Phrases(
            before=(
                "Good sir, I beg you to hear my humble request.",
                "I should be most grateful for your learned counsel.",
                "Pray permit me to trouble you for a moment.",
                "With the deepest respect I come before you.",
                "It would honor me greatly if you could oblige me.",
                "Most noble friend, lend me your ear.",
                "Forgive my boldness, gentle master.",
                "I bow before your wisdom.",
                "Might I be so free as to seek your guidance?",
                "Your devoted servant lays a matter before you.",
                "If it please you, kind madam, attend to me.",
                "I present my compliments and a modest inquiry.",
                "Dearest sir, your fame has reached even my poor house.",
                "Grant me, I pray you, the favor of an answer.",
                "Permit a simple soul to approach you.",
                "I have the honor to address you.",
                "Kindly suffer me to speak, my lord.",
                "I would not presume, were your kindness not so well known.",
                "May it please your grace to hear me.",
                "Humbly do I stand at your door.",
                "Be so good, my lady, as to instruct me.",
                "I entreat you, most learned of men.",
                "Let me first bid you a good morrow, sir.",
                "Your obedient pupil ventures to inquire.",
            ),
            behind=(
                "I remain your faithful servant.",
                "My gratitude shall know no bounds.",
                "Heaven bless you for your patience.",
                "I await your noble reply.",
                "You have my sincerest thanks, good sir.",
                "I kiss your hand in gratitude.",
                "Your kindness does me great honor.",
                "I shall praise your name to all.",
                "Pray do not refuse me.",
                "With my most respectful regards.",
                "I am, as always, your humble pupil.",
                "May your days be long and happy, my lord.",
            ),
        ),
        "validation": Phrases(
            before=(
                "Worthy gentleman, deign to listen.",
                "Would you do me the great courtesy of a word?",
                "A modest admirer craves your attention.",
                "I come with reverence, excellent madam.",
                "Suffer an unworthy guest to question you.",
                "I solicit your benevolence, venerable sir.",
            ),
            behind=(
                "I shall cherish your response.",
                "Accept the homage of your admirer.",
                "Fortune favor you, excellent madam.",
                "I withdraw with a bow.",
            ),
        ),
        "test": Phrases(
            before=(
                "O gracious one, I kneel with a small petition.",
                "Allow a lowly pilgrim to implore you.",
                "By your leave, esteemed scholar.",
                "Thou art renowned for prudence, wherefore I turn to thee.",
                "Were it not too heavy a burden, illustrious host, I would consult thee.",
                "An ignorant wretch supplicates your eminence.",
                "Vouchsafe me an audience, exalted majesty.",
                "Prithee, sage and sovereign, enlighten thy vassal.",
                "In all meekness I appeal to your excellency.",
                "Condescend, revered doctor, to a beggar's plea.",
            ),
            behind=(
                "Ever thine, in veneration.",
                "I stay eternally indebted.",
                "May fortune smile upon thy hearth.",
                "Thy goodness is beyond measure.",
                "Receive the tribute of a loyal subject.",
                "So begs the least of your vassals.",
            ),
        ),
    },
    "casual": {
        "train": Phrases(
            before=(
                "Hey dude, got a quick one for you.",
                "Yo, need some help here.",
                "Hi there, just a random thing.",
                "Okay so, weird one.",
                "Alright buddy, here we go.",
                "Hey, me again with another one.",
                "So my roommate and I were arguing.",
                "Quick thing before lunch.",
                "Got a sec?",
                "Man, this one is bugging me.",
                "Hi, super quick.",
                "Dude, no idea about this.",
                "Been stuck on this all day, lol.",
                "Hey hey, what do you say to this?",
                "Alright, shoot me an answer.",
                "Not gonna lie, I forgot.",
                "Gimme a hand with this.",
                "Yeah, so, anyway.",
                "Hiya, bored at work.",
                "Ok, last thing today.",
                "Hey, kinda stupid but whatever.",
                "Folks here can't figure it out.",
                "Just checking something real fast.",
                "Come on, you got this.",
            ),
            behind=(
                "Thanks a bunch, buddy.",
                "Cheers, mate.",
                "No rush, just curious.",
                "Ok thanks, bye.",
                "You're the best, dude.",
                "Just wanna know.",
                "Hit me up with whatever.",
                "Keep it chill.",
                "Anyway, that's it.",
                "Would be cool to know.",
                "Gotta run, thanks.",
                "Yep, that's all.",
            ),
        ),
        "validation": Phrases(
            before=(
                "What's going on, friend of mine.",
                "Hmm, tough luck finding this.",
                "Hello hello, tiny thing.",
                "Totally blanking on something.",
                "Let's do this one, pal.",
                "Oh wait, one more.",
            ),
            behind=("Thx!", "Appreciate it, pal.", "Whenever you can.", "Nice one."),
        ),
        "test": Phrases(
            before=(
                "Sup, here's a puzzle.",
                "My kid just came up with this.",
                "Oops, almost forgot to check.",
                "Guys at the gym keep talking about it.",
                "Listen up, bro.",
                "Tired and lazy, so please do my thinking.",
                "Heya, fire away.",
                "Googled it, got nothing.",
                "Phone's nearly dead, so hurry.",
                "Okie dokie, next.",
            ),
            behind=(
                "You rock!",
                "Later, gator.",
                "Catch you around, bro.",
                "Easy peasy, right?",
                "Haha, thank god for you.",
                "Over and out.",
            ),
        ),
    },
}
"""Register -> split -> its sentences. Courtly test and training sentences share no word of content."""
