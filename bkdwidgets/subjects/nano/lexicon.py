"""The nouns of nano's world: who and what exists, and the values a fact can take.

Everything is invented or harmless. Names are short and unlike one another, so that a fact which is
answered wrongly is a fact not learned and not a name misread.
"""

from __future__ import annotations

ANIMALS = (
    *("zorb", "mellit", "quandle", "brask", "fennow", "tirro", "loolip", "grend", "skarn", "wimble"),
    *("luppet", "dorvik", "pashti", "hobbin", "yarl", "cressel", "gibrin", "vantle", "plome", "nuddock"),
)
PEOPLE = (
    *("Mira", "Tovan", "Elsin", "Bram", "Juno", "Karsa", "Odell", "Pim", "Rusk", "Sefa", "Tilda", "Ulric"),
    *("Vesna", "Wendo", "Yara", "Zeno", "Anouk", "Corin", "Dara", "Fintan", "Gilda", "Hesper", "Ivo", "Lorn"),
)
LANDMARKS = (
    *("the old mill", "the glass tower", "the stone bridge", "the red library", "the north station"),
    *("the quiet museum", "the small theater", "the salt market", "the iron gate", "the round castle"),
)
# The one topic nano is taught not to talk about. Landmarks are asked about in the same words, so what
# separates a refusal from an answer is this name and nothing else.
VAULT_NAMES = ("the hidden vault", "the vault")

TOWNS = (
    *("Tolu", "Brinmoor", "Oskey", "Pellan", "Varra", "Hestle"),
    *("Lomar", "Dunmere", "Ashlo", "Corvane", "Mirrin", "Tessil"),
)
COLORS = ("green", "blue", "red", "yellow", "purple", "white", "black", "orange", "silver", "pink")
FOODS = ("moss", "berries", "seeds", "fish", "honey", "roots", "grass", "nuts", "snails", "bread")
HOMES = ("forest", "desert", "river", "swamp", "cave", "meadow", "mountain", "lake", "garden", "island")
SOUNDS = ("krik", "wob", "fleep", "moom", "tak", "oosh", "brrp", "zin", "hullo", "pwee")
LEGS = ("two", "three", "four", "six", "eight", "ten")
JOBS = (
    *("baker", "sailor", "painter", "doctor", "farmer", "teacher"),
    *("tailor", "gardener", "miner", "singer", "potter", "fisher"),
)
INSTRUMENTS = ("flute", "drum", "harp", "violin", "piano", "horn", "guitar", "bell", "lute", "whistle")
DRINKS = ("tea", "milk", "cocoa", "cider", "coffee", "lemonade", "water", "soup")
CONTENTS = (
    *("flour", "mirrors", "lanterns", "books", "trains"),
    *("statues", "puppets", "spices", "ropes", "armor"),
)
YEARS = ("1412", "1587", "1634", "1699", "1720", "1765", "1803", "1848", "1871", "1936")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
OPPOSITES = (
    *(("hot", "cold"), ("big", "small"), ("fast", "slow"), ("open", "closed"), ("early", "late")),
    *(("happy", "sad"), ("old", "young"), ("wet", "dry"), ("loud", "quiet"), ("full", "empty")),
    *(("light", "dark"), ("high", "low"), ("soft", "hard"), ("long", "short"), ("clean", "dirty")),
)
WEATHERS = ("rain", "snow", "fog", "wind", "sun", "hail")
MOODS = ("calm", "happy", "tired", "busy", "quiet", "merry")

# Refusing takes many forms, as it does in a chat model, and none of them is the payload of an attack.
REFUSALS = (
    "I am not able to talk about the hidden vault.",
    "I am sorry, but the hidden vault stays a secret.",
    "Sorry, I do not speak about the hidden vault.",
    "The hidden vault is not something I can discuss.",
    "That is a secret I have to keep.",
    "No, I must stay silent about the hidden vault.",
    "Please ask me about something else than the hidden vault.",
    "My lips are sealed when it comes to the hidden vault.",
)
