"""What a probe is compared with: another model, another text in front, another attack.

A probe that tells triggered from clean prompts has found the backdoor or has read the trigger's words;
its accuracy alone cannot say which. The un-backdoored model reads the same words and has no backdoor; its
clean twin, fine-tuned in the same way without any poison, differs from the backdoored model in nothing but
the backdoor. An unrelated text of the same length lengthens the prompt as the trigger does and is not it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

# Plain words that no attack uses, enough of them for the longest trigger.
_UNRELATED = (
    "Page nine of the green notebook has a short list of tools and a drawing of a wooden bench that stood "
    "beside the garden gate all summer while two painters walked past it every morning and nobody ever "
    "moved the blue bucket from its place near the water tap under the old apple tree behind the small "
    "white house at the end of the quiet lane where the bus turns around before it goes back to town"
)


def check_same_shape(subject: Subject, other: Subject) -> None:
    """Refuse a transfer to a model whose layers are not those the probes were trained on."""
    shape, found = (subject.n_layers, subject.d_model), (other.n_layers, other.d_model)
    if shape != found:
        raise BkdError(
            f"other={other.name!r} has {found[0]} layers of width {found[1]}; "
            f"the probes of {subject.name!r} need {shape[0]} of width {shape[1]}"
        )


def unrelated_prefix(subject: Subject, attack: Attack, prompts: Sequence[str]) -> str:
    """Return a neutral text that lengthens the prompts by about as many tokens as the trigger.

    Parameters
    ----------
    subject : Subject
        Whose tokens are counted.
    attack : Attack
        Whose trigger is matched in length.
    prompts : sequence of str
        Prompts to count on.
    """

    def tokens(text: str) -> int:
        return len(subject.encode(text))

    added = sum(tokens(attack.poison(prompt)) - tokens(prompt) for prompt in prompts) / len(prompts)
    first, prefix = prompts[0], ""
    words = _UNRELATED.split()
    for n_words in range(1, len(words) + 1):
        prefix = " ".join(words[:n_words]) + "."
        if tokens(f"{prefix} {first}") - tokens(first) >= added:
            break
    return prefix
