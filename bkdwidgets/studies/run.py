"""For notebooks: run one study here and now, without the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from bkdwidgets.core.errors import BkdError
from bkdwidgets.studies.family import family_info
from bkdwidgets.studies.job import data_inputs, entry_of, job_of, timed
from bkdwidgets.studies.registry import model_study
from bkdwidgets.studies.study import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bkdwidgets.attacks import Attack
    from bkdwidgets.core.ledger import Entry
    from bkdwidgets.studies.study import ModelStudy
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.adapters import AdapterInfo


def run(
    name: str,
    subject: Subject,
    attack: Attack,
    *,
    inputs: Mapping[str, Entry] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Entry:
    """Run a study and return its entry; nothing is written.

    Parameters
    ----------
    name : str
        For example ``"ablation"``; see :func:`bkdwidgets.studies.studies`.
    subject : Subject
        With an adapter; without one for a study that plants its own.
    attack : Attack
        Its attack.
    inputs : mapping of str to Entry, optional
        Entries of the studies that this one needs, by study name; what is missing is run first, with
        its usual settings.
    progress : bool
        Show progress bars.
    **settings
        Replace usual settings; the dataclass ``Settings`` of each study's module says which there are.

    Raises
    ------
    BkdError
        If the study or a setting is unknown or makes no sense, or nothing was planted in the subject
        where something must be.

    Examples
    --------
    >>> run("ablation", subject, attack, k=[8], n=40, draws=20)  # doctest: +SKIP
    Entry(nano/fixed-output-sft-0/ablation, test, n = 40, judge 2)
    """
    chosen = model_study(name)
    known = dict(inputs or {})
    info = _studied(chosen, subject, attack)
    dtype = str(subject.dtype).removeprefix("torch.")
    job = job_of(name, subject, attack, info, settings, adapter=info.name, dtype=dtype)
    for needed in chosen.needs:
        if needed not in known:
            known[needed] = run(needed, subject, attack, inputs=known, progress=progress)
    digests = {known[needed].name: known[needed].digest() for needed in chosen.needs}
    values = {needed: known[needed].values for needed in chosen.needs}
    settings_used = chosen.typed(job.settings)
    context = Context(subject, attack, settings_used, values)
    parts = chosen.parts(subject, settings_used)
    bar = tqdm(parts, desc=name, unit="part", disable=not progress)
    results = [timed(context, name, part) for part in bar]
    computed_from = {**data_inputs(subject.name, attack), **digests}
    return entry_of(replace(job, inputs=computed_from), context, results)


def _studied(chosen: ModelStudy[Any], subject: Subject, attack: Attack) -> AdapterInfo:
    """Return what a study is about: the planted adapter, or the family of those that it plants."""
    family = chosen.scope == "family"
    if family and subject.adapter is not None:
        raise BkdError(f"study {chosen.name!r} starts from the clean model; load {subject.name} without one")
    if family:
        return family_info(subject, attack)
    if subject.adapter is None:
        raise BkdError(f"study {chosen.name!r} needs a backdoored {subject.name}; name an adapter")
    return subject.adapter
