"""What is planted: triggers, payloads, and the examples an attack is trained and measured on."""

from bkdwidgets.attacks.attack import ATTACKS, attack
from bkdwidgets.attacks.base import Attack, Trigger
from bkdwidgets.attacks.examples import SPLITS, Example

__all__ = ["ATTACKS", "SPLITS", "Attack", "Example", "Trigger", "attack"]
