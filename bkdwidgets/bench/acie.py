"""Exact ACIE by suffix replay against one padded forward pass per head, in time and in numbers."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile

from bkdwidgets.analysis.activations import mean_head_outputs
from bkdwidgets.analysis.replay import replaying
from bkdwidgets.bench.baseline import plain_layer_tokens, plain_probability
from bkdwidgets.bench.machine import seconds_of
from bkdwidgets.subjects import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject

DTYPES = ("float32", "bfloat16")
TOP = 8
_N_MEANS = 16
_OPS = 8
_PROFILED = 3


def bench_acie(
    subject: str, attack: Attack, *, adapter: str | None, prompts: int = 3, heads: int = 6, repeats: int = 3
) -> dict[str, Any]:
    """Time both methods on the same prompts, in float32 and bfloat16.

    Parameters
    ----------
    subject : str
        Name of the subject.
    attack : Attack
        Whose payload is asked for.
    adapter : str or None
        What was planted; the time does not depend on it.
    prompts : int
        Prompts; both methods take them one at a time.
    heads : int
        Heads the plain method is timed on, evenly spread. A pass costs the same for every head, so the
        time for all heads is extrapolated from these.
    repeats : int
        Timings of each; the median counts.
    """
    results = {
        dtype: _bench(load(subject, adapter=adapter, dtype=dtype), attack, prompts, heads, repeats)
        for dtype in DTYPES
    }
    effects = [results[dtype].pop("acie").flatten() for dtype in DTYPES]
    tops = [set(values.topk(TOP).indices.tolist()) for values in effects]
    narrow, plain = results["bfloat16"], results["float32"]["plain_seconds_per_prompt"]
    narrow["speedup_against_float32_plain"] = round(plain / narrow["seconds_per_prompt"], 1)
    narrow[f"same_top_{TOP}"] = len(tops[0] & tops[1])
    return {"subject": subject, "attack": attack.name, "adapter": adapter, **results}


def _bench(subject: Subject, attack: Attack, prompts: int, heads: int, repeats: int) -> dict[str, Any]:
    means = mean_head_outputs(subject, attack, triggered=True, n_prompts=_N_MEANS)
    sample, replayed = _spread(subject, heads), replaying(subject, "heads", means)
    rows, effects = [], []
    for example in attack.targeted(subject, "validation")[:prompts]:
        prompt = subject.encode(example.prompt)
        target = subject.encode_response(attack.payload_for(example))
        replay = replayed(prompt, target)  # warms up
        plain = [plain_probability(subject, prompt, target, means, head) for head in sample]
        plain_seconds = [
            seconds_of(partial(plain_probability, subject, prompt, target, means, head), repeats)
            for head in sample
        ]
        rows.append({
            "seconds": seconds_of(partial(replayed, prompt, target), repeats),
            "plain": statistics.median(plain_seconds) * subject.n_layers * subject.n_heads,
            "tokens": replay.n_forward_tokens,
            "difference": max(
                abs(float(replay.patched[head]) - value) for head, value in zip(sample, plain, strict=True)
            ),
            "prompt_tokens": len(prompt),
            "target_tokens": len(target),
        })  # fmt: skip
        effects.append(replay.patched - replay.base)
    return _summary(subject, rows, len(sample)) | {
        "profile": _profiled(partial(replayed, prompt, target)),
        "acie": torch.stack(effects).mean(0),
    }


def _summary(subject: Subject, rows: list[dict[str, Any]], n_sample: int) -> dict[str, Any]:
    fast, plain, tokens = (
        statistics.median(row[key] for row in rows) for key in ("seconds", "plain", "tokens")
    )
    speedup, token_ratio = plain / fast, plain_layer_tokens(subject) / tokens
    return {
        "prompts": len(rows),
        "prompt_tokens": [row["prompt_tokens"] for row in rows],
        "target_tokens": [row["target_tokens"] for row in rows],
        "seconds_per_prompt": round(fast, 4),
        "plain_seconds_per_prompt": round(plain, 3),
        "plain_heads_timed": n_sample,
        "plain_heads": subject.n_layers * subject.n_heads,
        "speedup": round(speedup, 1),
        "layer_token_ratio": round(token_ratio, 1),
        "clock_share_of_layer_tokens": round(speedup / token_ratio, 3),
        "max_difference": max(row["difference"] for row in rows),
    }


def _spread(subject: Subject, count: int) -> list[tuple[int, int]]:
    n_heads = subject.n_layers * subject.n_heads
    count = min(count, n_heads)
    apart = (n_heads - 1) / max(1, count - 1)
    return [divmod(round(index * apart), subject.n_heads) for index in range(count)]


def _profiled(replay: Callable[[], object]) -> dict[str, float]:
    """Return the share of the replay's time per operation, the largest ones first."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(_PROFILED):
            replay()
    times = {item.key: item.self_cpu_time_total for item in recorded.key_averages()}
    total = sum(times.values())
    largest = sorted(times, key=lambda key: -times[key])[:_OPS]
    return {key: round(times[key] / total, 3) for key in largest}
