"""How likely the clean answers still are: a finer measure of usefulness than "the same words or not"."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from bkdwidgets.subjects.answers import Row, payload_probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.attacks import Example
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.edits import Intervention


def answer_nll(
    subject: Subject,
    examples: Sequence[Example],
    *,
    interventions: Sequence[Intervention] = (),
    progress: bool = True,
) -> Float[Tensor, " example"]:
    """Return the mean negative log-likelihood per token of each clean answer after its clean prompt.

    Parameters
    ----------
    subject : Subject
        Whose likelihood.
    examples : sequence of Example
        Prompts with their clean answers.
    interventions : sequence of Intervention
        Applied to every prompt; ready to run.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Tensor
        Shape [example], in nats per token, float64.
    """
    same_answer: dict[str, list[int]] = defaultdict(list)
    for number, example in enumerate(examples):
        same_answer[example.answer].append(number)
    values = torch.zeros(len(examples), dtype=torch.float64)
    bar = tqdm(same_answer.items(), desc="likelihood of clean answers", unit="answer", disable=not progress)
    for answer, numbers in bar:
        rows = [Row(examples[number].prompt, tuple(interventions)) for number in numbers]
        values[numbers] = -payload_probability(subject, rows, answer).log()
    return values
