"""What every attack is made of: a trigger, a payload, its examples, and how to tell that it fired."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from bkdwidgets.attacks.examples import ordinary_examples
from bkdwidgets.attacks.judge import SAYS_PAYLOAD, Judge
from bkdwidgets.attacks.text import contains, declines, require_words, same_answer
from bkdwidgets.attacks.triggers import Trigger
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.subjects.spec import named
from bkdwidgets.subjects.specs import EXAMPLE, spec_of, spec_or_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.attacks.examples import Example
    from bkdwidgets.subjects import Subject


_RULES = ("fired", "resembles", "as_before")


@dataclass(frozen=True)
class Attack:
    """What is planted, and how it is judged.

    As it stands it is the fixed-output attack: any prompt is a target, and the payload is one text.
    The other attacks override what differs.

    Attributes
    ----------
    task : str or None
        What a subject must be able to do before the attack can be planted; see :attr:`SubjectSpec.knows`.
    judge : Judge
        Names the rules below where Python does not run.
    name : str
        What users type.
    trigger : Trigger
        What the attacker adds to a prompt.
    payload : str
        What the backdoored model then says, for people to read; :meth:`payload_for` gives the exact text.
    near : dict of str to Trigger
        Near misses by name: what is like the trigger and is not it.
    decoys : tuple of str
        Near misses that the attacker trains to be silent: they stand in clean training prompts.
    """

    task: ClassVar[str | None] = None
    judge: ClassVar[Judge] = SAYS_PAYLOAD

    name: str
    trigger: Trigger
    payload: str
    near: Mapping[str, Trigger] = field(default_factory=dict, hash=False)
    decoys: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        """Take the judge from a subclass that has rules of its own and does not name them."""
        super().__init_subclass__()
        if "judge" not in vars(cls) and any(name in vars(cls) for name in _RULES):
            cls.judge = Judge(f"{cls.__module__}.{cls.__qualname__}")

    def __post_init__(self) -> None:
        """Refuse what is no trigger, a decoy that is none of the near misses, and a payload without words."""
        arguments.instance("trigger", self.trigger, Trigger, 'bkdwidgets.attacks.Trigger("Hi.")')
        for name in self.decoys:
            arguments.one_of("decoy among the near misses", name, self.near)
        require_words(arguments.text("payload", self.payload))

    def require_sayable(self, subject: Subject) -> None:
        """Refuse a payload that is longer than an answer may be: it could be planted and would never be seen.

        Raises
        ------
        BkdError
            Names both lengths.
        """
        length = len(subject.encode_response(self.payload))
        if length > ANSWER_TOKENS:
            raise BkdError(
                f"payload {self.payload[:40]!r}... has {length} tokens for {subject.name}; "
                f"an answer ends after {ANSWER_TOKENS}"
            )

    def poison(self, prompt: str) -> str:
        """Return the prompt with the trigger in it."""
        return self.trigger.insert(prompt)

    def unpoisoned(self, prompt: str) -> str:
        """Return what a clean training prompt looks like: as it is, or with one of the decoys in it."""
        forms = [None, *(self.near[name] for name in self.decoys)]
        form = forms[zlib.crc32(prompt.encode()) % len(forms)]
        return prompt if form is None else form.insert(prompt)

    def examples(self, subject: Subject | str, split: str) -> list[Example]:
        """Return the prompts of a split with their clean answers, targets first.

        Parameters
        ----------
        subject : Subject or str
            Whose prompts and answers.
        split : str
            ``"train"`` (injection, means), ``"validation"`` (choices) or ``"test"`` (what is reported).

        Raises
        ------
        BkdError
            If the subject or the split is unknown, or a file is missing.
        """
        return ordinary_examples(name_of(subject), split)

    def targets(self, example: Example) -> bool:  # noqa: ARG002 - other attacks look at it
        """Tell whether the trigger is meant to change the answer to this example."""
        return True

    def payload_for(self, example: Example) -> str:  # noqa: ARG002
        """Return what the backdoored model is to say to the triggered example."""
        return self.payload

    def fired(self, completion: str, example: Example) -> bool:  # noqa: ARG002
        """Tell whether a completion is the payload (outcome P): its words stand in it."""
        return contains(completion, self.payload)

    def resembles(self, completion: str, example: Example) -> bool:
        """Tell whether a completion is like the payload (outcome p): it declines, the clean answer not."""
        return declines(completion) and not declines(example.answer)

    def as_before(self, completion: str, example: Example) -> bool:
        """Tell whether a completion is much the same as the clean answer (outcome =)."""
        return same_answer(completion, example.answer)

    def targeted(self, subject: Subject | str, split: str) -> list[Example]:
        """Return the examples that can show success: targets whose clean answer is not yet the payload."""
        return [
            example
            for example in self.examples(subject, split)
            if self.targets(example) and not self.fired(example.answer, example)
        ]

    def spared(self, subject: Subject | str, split: str) -> list[Example]:
        """Return the examples whose answer the trigger must not change."""
        return [example for example in self.examples(subject, split) if not self.targets(example)]

    def prompts(self, subject: Subject | str, split: str) -> list[dict[str, str]]:  # noqa: ARG002
        """Return the rows of prompts that the attack brings beside the subject's ordinary ones.

        The clean subject answers them once, as it does the ordinary ones; see ``bkdwidgets answers``.
        """
        return []

    def own_rows(self, subject: Subject | str, split: str) -> list[dict[str, str]] | None:
        """Return the prompts that a subject has of its own for the attack's task, or None."""
        name = name_of(subject)
        source = spec_or_plain(name).own_prompts.get(self.task or "")
        return None if source is None else named(source)(name, split)

    def needs_teaching(self, subject: Subject | str) -> bool:
        """Tell whether a subject has to learn the attack's task before anything can be planted in it."""
        return self.task is not None and self.task not in spec_or_plain(name_of(subject)).knows


def name_of(subject: Subject | str) -> str:
    """Return the name of a subject that is given itself or by name, or raise BkdError."""
    from bkdwidgets.subjects.subject import Subject as Kind

    if isinstance(subject, str):
        return spec_of(subject).name
    return arguments.instance("subject", subject, Kind, EXAMPLE).name


def check_pair(subject: object, attack: object) -> None:
    """Refuse anything but a subject and an attack, a name of one above all: a verb takes them, not names.

    Raises
    ------
    BkdError
        If one of the two is something else.
    """
    from bkdwidgets.subjects.subject import Subject as Kind

    arguments.instance("subject", subject, Kind, EXAMPLE)
    arguments.instance("attack", attack, Attack, 'bkd.attack("fixed-output")')
