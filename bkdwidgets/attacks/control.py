"""The control: the clean model that a backdoored one is compared with, named and loaded here alone.

It is the subject as it comes. Where the subject had to be taught the attack's task before anything could be
planted, it is the clean twin, which was taught the task and no backdoor: only that one differs from the
backdoored model in the backdoor alone. The injection starts from the same model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkdwidgets.attacks.base import name_of
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects import Subject, load
from bkdwidgets.subjects.adapters import adapter_folder, own_folder, read_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.attacks.base import Attack
    from bkdwidgets.subjects.adapters import Adapter


def control_name(subject: Subject | str, attack: Attack) -> str | None:
    """Return the name of the clean twin that is the control of an attack, or None for the subject itself."""
    return f"{attack.name}-clean-0" if attack.needs_teaching(subject) else None


def control_path(subject: Subject | str, attack: Attack, out: str | Path | None = None) -> Path | None:
    """Return the file of the clean twin that is the control, or None where the subject itself is.

    Parameters
    ----------
    subject : Subject or str
        Whose control.
    attack : Attack
        What is planted.
    out : str or Path, optional
        A folder to look in first; then the twin that ships is taken, then the one that was made here.

    Raises
    ------
    BkdError
        If a twin is needed and there is none; the message names the command that makes it.
    """
    name = control_name(subject, attack)
    if name is None:
        return None
    whose = name_of(subject)
    for folder in (arguments.folder("out", out), adapter_folder(whose), own_folder(whose)):
        if folder is not None and (path := folder / f"{name}.safetensors").is_file():
            return path
    raise BkdError(
        f"{attack.name} on {whose} starts from {name!r}, which is not there yet; "
        f"run: bkdwidgets inject {whose} {attack.name} --method clean"
    )


def read_control(subject: Subject | str, attack: Attack, out: str | Path | None = None) -> Adapter | None:
    """Read the clean twin that is the control, found as by :func:`control_path`; None: the subject itself."""
    path = control_path(subject, attack, out)
    return None if path is None else read_adapter(name_of(subject), path)


def load_control(subject: Subject, attack: Attack) -> Subject:
    """Load the control of an attack on a subject, where the subject is and in its precision.

    Raises
    ------
    BkdError
        If a clean twin is needed and there is none.
    """
    precision = str(subject.dtype).removeprefix("torch.")
    where = {"device": str(subject.device), "dtype": precision}
    return load(subject.name, adapter=control_path(subject, attack), **where)


def checked_control(
    subject: Subject, attack: Attack, given: Subject | None, name: str = "control"
) -> Subject:
    """Return the control: the one given, checked; else the subject itself if it is clean; else a loaded one.

    Parameters
    ----------
    subject : Subject
        What is compared with the control.
    attack : Attack
        Its attack.
    given : Subject or None
        What a caller named as control.
    name : str
        Of the caller's parameter, for the message.

    Raises
    ------
    BkdError
        If the one given is another subject or carries a backdoor, or there is no twin to load.
    """
    if given is None:
        return subject if subject.is_control else load_control(subject, attack)
    arguments.instance(name, given, Subject, f"bkd.load({subject.name!r})")
    if given.name != subject.name or not given.is_control:
        raise BkdError(
            f"{name}={given.name!r} ({given.label}) is not allowed; a clean {subject.name!r} is, as "
            "bkd.load returns it"
        )
    return given
