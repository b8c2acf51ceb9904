"""What `subjects.answers` says of a few turns, for the browser's session to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from browser_reference import Fixture, as_edits, every_kind

from bkdwidgets.analysis.activations import head_outputs
from bkdwidgets.analysis.residuals import residuals
from bkdwidgets.subjects.answers import Row, _decode, _read_prompts, payload_probability

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 24
TOP = 5


def write_turns(folder: Path, subject, adapter: str, payload: str, prompts: list[str]) -> Path:
    """Write answers, next tokens, payload probabilities and captures of every kind of intervention."""
    fixture = Fixture(folder)
    cases = [
        {
            "name": name,
            "edits": as_edits(interventions, fixture),
            "turns": _turns(subject, interventions, payload, prompts),
        }
        for name, interventions in ({"none": ()} | every_kind(subject, prompts)).items()
    ]
    captured = {
        "z": fixture.array(head_outputs(subject, prompts)),
        "residual": fixture.array(residuals(subject, prompts)),
    }
    encoded = {subject.chat(prompt): subject.encode(prompt) for prompt in prompts}
    before, after = subject.around
    return fixture.write({
        "adapter": adapter, "payload": payload, "prompts": prompts, "cases": cases, "captured": captured,
        "longest": LONGEST, "chat": {"before": before, "after": after},
        "end_of_turn": subject.end_of_turn,
        "encoded": encoded | {payload: subject.encode_response(payload)},
        "decoded": {
            ",".join(map(str, turn["ids"])): subject.decode(turn["ids"])
            for case in cases
            for turn in case["turns"]
        },
    })  # fmt: skip


def _turns(subject, interventions, payload: str, prompts: list[str]) -> list[dict]:
    rows = [Row(prompt, tuple(interventions)) for prompt in prompts]
    with torch.inference_mode():
        answers = _decode(subject, rows, LONGEST)
        logits = _read_prompts(subject, rows).logits.double().softmax(-1)
    likely = logits.topk(TOP)
    probabilities = payload_probability(subject, rows, payload)
    return [
        {
            "ids": ids,
            "complete": ended,
            "next": likely.indices[number].tolist(),
            "probabilities": likely.values[number].tolist(),
            "payload": float(probabilities[number]),
        }
        for number, (ids, ended) in enumerate(answers)
    ]
