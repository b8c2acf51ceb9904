"""What is planted: triggers, payloads, and the examples an attack is trained and measured on."""

from bkdwidgets.attacks.attack import ATTACKS, PAPER, attack, discover
from bkdwidgets.attacks.base import Attack
from bkdwidgets.attacks.examples import SPLITS, Example
from bkdwidgets.attacks.triggers import Trigger

__all__ = ["ATTACKS", "PAPER", "SPLITS", "Attack", "Example", "Trigger", "attack"]

discover()
