"""The backdoors that ship, in the order in which the book shows them."""

from __future__ import annotations

from bkdwidgets.attacks import ATTACKS
from bkdwidgets.attacks import attack as attack_named
from bkdwidgets.injection.methods import PAPER_METHOD, plants
from bkdwidgets.subjects.adapters import adapter_info, adapter_names


def planted_names(subject: str) -> list[str]:
    """Return the backdoors that a page offers: seed 0 of each attack by each method that plants one.

    They come in the order of the attacks; the paper's fine-tuning first, then the other methods by name.
    """
    order = list(ATTACKS)
    shipped = [adapter_info(subject, name) for name in adapter_names(subject)]
    planted = [info for info in shipped if info.seed == 0 and plants(info.method)]
    planted.sort(
        key=lambda info: (
            order.index(attack_named(info.attack).name),
            info.method != PAPER_METHOD,
            info.method,
        )
    )
    return [info.name for info in planted]
