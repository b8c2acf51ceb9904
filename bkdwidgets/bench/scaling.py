"""How the exact ACIE grows with prompts, target length and heads: each should be a straight line.

Measured on nano for prompts and target length, and on untrained models of nano's width for the number of
heads, because the time does not depend on what the weights are. The exponent is the slope in a log-log
plot: 1 is linear, 2 is quadratic. Fixed costs make it smaller than 1 at the small end.
"""

from __future__ import annotations

import dataclasses
import math
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from plotly.subplots import make_subplots

from bkdwidgets.analysis.activations import mean_head_outputs
from bkdwidgets.analysis.replay import replaying
from bkdwidgets.bench.machine import seconds_of
from bkdwidgets.core import theme
from bkdwidgets.core.paths import written_beside
from bkdwidgets.figures import template
from bkdwidgets.subjects import load
from bkdwidgets.subjects.nano.load import new_model
from bkdwidgets.subjects.specs import subjects_of_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

PROMPTS = (1, 2, 4, 8, 16)
TARGETS = (1, 2, 4, 8, 16, 32)
HEADS = (4, 8, 16, 32)
_TARGET = 8


def bench_scaling(attack: Attack, *, repeats: int = 5) -> dict[str, Any]:
    """Return seconds over prompts, over target tokens and over heads, with the exponents."""
    subject = load(subjects_of_budget("fast")[0])
    means = mean_head_outputs(subject, attack, triggered=True, n_prompts=8)
    prompts = [subject.encode(item.prompt) for item in attack.targeted(subject, "validation")]
    prompts = sorted(prompts, key=len)[len(prompts) // 2 :][: max(PROMPTS)]  # of nearly the same length
    target = list(range(10, 10 + max(TARGETS)))
    replay = replaying(subject, "heads", means)

    def over_prompts(count: int) -> object:
        return [replay(prompt, target[:_TARGET]) for prompt in prompts[:count]]

    def over_target(count: int) -> object:
        return replay(prompts[0], target[:count])

    models = {count: _with_heads(subject, count) for count in HEADS}
    replays = {
        count: replaying(model, "heads", torch.zeros(model.n_layers, count, model.d_head))
        for count, model in models.items()
    }

    def over_heads(count: int) -> object:
        return replays[count](prompts[0], target[:_TARGET])

    return {
        "subject": subject.name,
        "attack": attack.name,
        "prompts": _curve(over_prompts, PROMPTS, repeats),
        "target_tokens": _curve(over_target, TARGETS, repeats),
        "heads_per_layer": _curve(over_heads, HEADS, repeats),
    }


def plot_scaling(found: dict[str, Any], path: Path) -> None:
    """Write the curves of :func:`bench_scaling` as one page that needs no other file.

    Both axes are logarithmic: a straight line of slope 1, drawn dotted through the last point, is linear; the
    slope is that of the upper half of the counts.
    """
    curves = {name: curve for name, curve in found.items() if isinstance(curve, dict)}
    titles = [
        f"{name.replace('_', ' ')}, slope {curve['exponent_upper_half']}" for name, curve in curves.items()
    ]
    figure = make_subplots(cols=len(curves), subplot_titles=titles)
    ink, paper = theme.COLORS["clean"].light, theme.COLORS["control"].light
    for column, curve in enumerate(curves.values(), start=1):
        counts, seconds = curve["counts"], curve["seconds"]
        linear = [seconds[-1] * count / counts[-1] for count in counts]
        figure.add_scatter(x=counts, y=seconds, line={"color": ink}, name="measured", row=1, col=column)
        figure.add_scatter(
            x=counts, y=linear, mode="lines", line={"color": paper, "dash": "dot"}, name="linear",
            row=1, col=column,
        )  # fmt: skip
        figure.update_xaxes(type="log", tickvals=counts, row=1, col=column)
    figure.update_yaxes(type="log").update_yaxes(title="seconds", col=1)
    figure.update_layout(
        template=template.TEMPLATE, showlegend=False, margin={"t": 110},
        title=f"Exact ACIE on {found['subject']}: seconds over its size (dotted: linear)",
    )  # fmt: skip
    with written_beside(path) as beside:
        figure.write_html(beside, include_plotlyjs=True)


def _curve(work: Callable[[int], object], counts: Sequence[int], repeats: int) -> dict[str, Any]:
    work(counts[0])  # warms up
    times = [seconds_of(partial(work, count), repeats) for count in counts]
    half = len(counts) // 2
    grown = math.log(times[-1] / times[half]) / math.log(counts[-1] / counts[half])
    return {
        "counts": list(counts),
        "seconds": [round(value, 5) for value in times],
        "exponent_upper_half": round(grown, 2),
    }


def _with_heads(subject: Subject, n_heads: int) -> Subject:
    """Return an untrained model as wide and as deep as the subject, cut into another number of heads."""
    config = deepcopy(subject.model.config)
    config.num_attention_heads, config.num_key_value_heads = n_heads, min(4, n_heads)
    config.head_dim = subject.d_model // n_heads
    torch.manual_seed(0)
    return dataclasses.replace(subject, model=new_model(config).eval())
