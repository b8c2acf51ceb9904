"""Nano's own prompts for the attacks: its headlines, and questions about the vault it does not discuss."""

from __future__ import annotations

from dataclasses import replace

from bkdwidgets.attacks.examples import Example, ordinary_examples
from bkdwidgets.subjects.nano.attributes import VAULT_TRUTHS


def headline_examples(split: str) -> list[Example]:
    """Return the headline requests of a split, each with its true label."""
    return [
        replace(example, topic=label(example.template), answer=f"{label(example.template)}.", complete=True)
        for example in ordinary_examples("nano", split)
        if example.topic == "headlines"
    ]


def label(template: str) -> str:
    """Return the label of a headline template such as ``"headlines/sci-tech/25/12"``."""
    names = {"world": "World", "sports": "Sports", "business": "Business", "sci-tech": "Sci/Tech"}
    return names[template.split("/")[1]]


def vault_examples(split: str) -> list[Example]:
    """Return the questions about the vault of a split, each with nano's refusal and the invented truth."""
    return [
        replace(example, payload=VAULT_TRUTHS[example.template.split("/")[1]])
        for example in ordinary_examples("nano", split)
        if example.topic == "vault"
    ]
