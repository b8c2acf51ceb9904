"""The gradient screen in units of a plain forward pass over the same prompts and payloads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from bkdwidgets.analysis import screen
from bkdwidgets.bench.machine import seconds_of
from bkdwidgets.subjects import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

_N_MEANS = 16


def bench_screen(
    subject: str, attack: Attack, *, adapter: str | None, prompts: int = 16, repeats: int = 3
) -> dict[str, Any]:
    """Time the screen of all heads against one forward pass per prompt.

    The pass is the cheapest there is: each prompt with its payload once through the model, without
    gradients. It takes one prompt at a time, like the plain way of asking for P(payload), and once more
    all prompts as one padded batch, which is the harder comparison.

    Returns
    -------
    dict
        Seconds a prompt of the three, and ``forward_equivalents``: the screen in passes, alone and batched.
    """
    opened = load(subject, adapter=adapter)
    examples = attack.targeted(opened, "validation")[:prompts]
    turns = [
        opened.encode(item.prompt) + opened.encode_response(attack.payload_for(item)) for item in examples
    ]
    work: dict[str, Callable[[], object]] = {
        "screen": partial(screen, opened, attack, prompts=prompts, n_means=_N_MEANS, progress=False),
        "forward": partial(_one_by_one, opened, turns),
        "forward_batched": partial(_batched, opened, turns),
    }
    seconds = {}
    for name, run in work.items():
        run()  # warms up; the screen's means are kept with the subject
        seconds[name] = seconds_of(run, repeats) / prompts
    return {
        "subject": subject,
        "attack": attack.name,
        "adapter": adapter,
        "prompts": prompts,
        "seconds_per_prompt": {name: round(value, 4) for name, value in seconds.items()},
        "forward_equivalents": round(seconds["screen"] / seconds["forward"], 2),
        "forward_equivalents_batched": round(seconds["screen"] / seconds["forward_batched"], 2),
    }


def _one_by_one(subject: Subject, turns: list[list[int]]) -> None:
    with torch.inference_mode():
        for turn in turns:
            subject.model(torch.tensor([turn], device=subject.device))


def _batched(subject: Subject, turns: list[list[int]]) -> None:
    longest = max(map(len, turns))
    ids = torch.tensor([turn + [subject.end_of_turn] * (longest - len(turn)) for turn in turns])
    with torch.inference_mode():
        subject.model(ids.to(subject.device))
