"""Texts that a tokenizer may stumble over, and what Python makes of them."""

from __future__ import annotations

import random

SCRAPS = (
    *(
        "  ",
        "\n\n",
        "\r\n",
        "n't",
        "'s",
        "'S",
        "'ll",
        "’s",
        "I'VE",
        "can't",
        "''",
        "e\u0301",
        "中文",
        "日本語",
        "नमस्ते",
    ),
    *(
        "עברית",
        "👩\u200d👩\u200d👧",
        "constructor",
        "__proto__",
        "<script>",
        "{{",
        "{% x %}",
        "\\u0041",
        "$&",
    ),
    *" \n\t\xa0\u2003\u200b\ufeff\x85\x1c\x00\u3000éﬁİß😀½Ⅷ٣",
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,!?;:-_/'"


def hostile_text(rng: random.Random, special: list[str]) -> str:
    makers = [
        lambda: rng.choice(special),
        lambda: rng.choice(special)[: rng.randrange(1, 9)],
        lambda: chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])),
        lambda: rng.choice(SCRAPS),
        lambda: str(rng.randrange(10 ** rng.randrange(1, 9))),
        lambda: "".join(rng.choices(LETTERS, k=rng.randrange(1, 15))),
    ]
    return "".join(rng.choice(makers)() for _ in range(rng.randrange(1, 10)))


def tokenizer_cases(subject, n: int = 1000) -> dict:
    """What Python makes of hostile texts inside a chat turn, and of random tokens."""
    rng = random.Random(0)
    special = [token.content for token in subject.tokenizer.added_tokens_decoder.values()]
    texts = [f"x{hostile_text(rng, special)}" for _ in range(n)]
    answers = [[rng.randrange(len(subject.tokenizer)) for _ in range(rng.randrange(12))] for _ in range(n)]
    return {
        "prompts": [
            {"text": text, "ids": subject.encode(text), "raw": subject.encode(text, raw=True)}
            for text in texts
        ],
        "responses": [{"text": text, "ids": subject.encode_response(text)} for text in texts],
        "answers": [
            {
                "ids": ids,
                "text": subject.decode(ids),
                "tokens": [subject.tokenizer.decode([one]) for one in ids],
            }
            for ids in answers
        ],
    }
