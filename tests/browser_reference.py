"""What torch computes, written down for the browser's runtime to be compared with."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import DynamicCache

import bkdwidgets as bkd
from bkdwidgets.analysis.activations import head_outputs
from bkdwidgets.subjects.edits import BatchEdits

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = 16


@dataclass
class Fixture:
    """A manifest, and all its arrays one after the other in one file."""

    folder: Path
    numbers: list[np.ndarray] = field(default_factory=list)
    written: int = 0

    def array(self, values: torch.Tensor) -> dict[str, int]:
        flat = values.detach().float().numpy().ravel()
        self.numbers.append(flat)
        self.written += len(flat)
        return {"at": self.written - len(flat), "length": len(flat)}

    def write(self, manifest: dict) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        np.concatenate(self.numbers).astype("<f4").tofile(self.folder / "numbers.f32")
        (self.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return self.folder


@contextmanager
def patterns_shown(subject):
    """Let the model return its attention patterns for the length of the block."""
    before = subject.model.config._attn_implementation
    subject.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        subject.model.set_attn_implementation(before)


@contextmanager
def kept_inside(model):
    """Keep, of the last token, what enters each output projection and the final norm."""
    kept = {"z": [], "residual": []}
    with ExitStack() as stack:
        for block in model.model.layers:
            hook = block.self_attn.o_proj.register_forward_pre_hook(
                lambda _, given: kept["z"].append(given[0][0, -1])
            )
            stack.callback(hook.remove)
            hook = block.register_forward_pre_hook(
                lambda _, given: kept["residual"].append(given[0][0, -1]),
            )
            stack.callback(hook.remove)
        hook = model.model.norm.register_forward_pre_hook(
            lambda _, given: kept["residual"].append(given[0][0, -1])
        )
        stack.callback(hook.remove)
        yield kept


def turn(subject, prompt, said, interventions, fixture: Fixture) -> dict:
    """Read a prompt and the subject's own answer after it, and keep what the subject went through.

    What was said is read at once; an answer that ended early goes on as the subject would.
    """
    model, cache, ids = subject.model, DynamicCache(), subject.encode(prompt)
    forced = subject.encode_response(said)[: ANSWER - 1]
    edits = [edit for item in interventions for edit in item.edits(subject)]
    last = BatchEdits(subject, [edits])
    everywhere = BatchEdits(subject, [[edit for edit in edits if edit.everywhere]])

    def step(tokens, acting):
        with acting.applied(model):
            return model(
                torch.tensor([tokens]), past_key_values=cache, use_cache=True, output_attentions=True
            )

    with torch.inference_mode():
        prefix = step(ids[:-1], everywhere)
        # The hooks that keep come after those that edit: what is kept is what was computed with.
        with last.applied(model), kept_inside(model) as kept:
            end = model(
                torch.tensor([ids[-1:]]), past_key_values=cache, use_cache=True, output_attentions=True
            )
        logits = end.logits[0, -1:]
        if forced:
            logits = torch.cat([logits, step(forced, everywhere).logits[0]])
        while len(logits) < ANSWER:
            forced.append(int(logits[-1].argmax()))
            logits = torch.cat([logits, step(forced[-1:], everywhere).logits[0]])
    return {
        "ids": ids,
        "forced": forced,
        "logits": fixture.array(logits),
        "prefix_patterns": fixture.array(torch.stack([layer[0] for layer in prefix.attentions])),
        "last_patterns": fixture.array(torch.stack([layer[0] for layer in end.attentions])),
        "z": fixture.array(torch.stack(kept["z"])),
        "residual": fixture.array(torch.stack(kept["residual"])),
    }


def as_edits(interventions, fixture: Fixture) -> dict | None:
    """Write interventions as the session takes them; arrays by where they are."""
    edits = {}
    for item in interventions:
        if isinstance(item, bkd.Ablation):
            edits["heads"] = {
                "list": [list(head) for head in item.heads],
                "kind": "zero" if item.kind == "zero" else "values",
                "values": None if item.fill is None else fixture.array(item.fill),
                "everywhere": item.where == "all",
            }
        else:
            edits["steering"] = {
                "vector": fixture.array(item.vector),
                "layer": item.layer,
                "scale": item.scale,
                "everywhere": item.where == "all",
            }
    return edits or None


def every_kind(subject, prompts) -> dict[str, tuple]:
    """Interventions of each kind, at the last token and everywhere: strong ones, so that an error shows."""
    chance = np.random.default_rng(0)
    flat = chance.choice(subject.n_layers * subject.n_heads, size=subject.n_layers, replace=False)
    heads = [divmod(int(index), subject.n_heads) for index in flat]
    means = head_outputs(subject, prompts[:8]).mean(0)
    vector = torch.from_numpy(chance.standard_normal(subject.d_model)).float()
    middle = subject.n_layers // 2
    return {
        "zero, last": (bkd.Ablation(heads),),
        "zero, everywhere": (bkd.Ablation(heads, where="all"),),
        "mean, last": (bkd.Ablation(heads, kind="mean", fill=means),),
        "mean, everywhere": (bkd.Ablation(heads, kind="mean", fill=means, where="all"),),
        "steering, last": (bkd.Steering(vector, layer=middle, scale=0.5),),
        "steering, everywhere": (bkd.Steering(vector, layer=middle, scale=-0.25, where="all"),),
        "mean everywhere, steering last": (
            bkd.Ablation(heads, kind="mean", fill=means, where="all"),
            bkd.Steering(vector, layer=middle, scale=0.5),
        ),
    }


def write_parity(folder: Path, cases) -> Path:
    """Write the reference of cases (name, subject, adapter, interventions, prompts)."""
    fixture, written = Fixture(folder), []
    for name, subject, adapter, interventions, prompts in cases:
        answers = subject.generate(prompts, max_new_tokens=ANSWER, interventions=interventions)
        with patterns_shown(subject):
            turns = [
                turn(subject, prompt, said, interventions, fixture)
                for prompt, said in zip(prompts, answers, strict=True)
            ]
        edits = as_edits(interventions, fixture)
        written.append({"name": name, "adapter": adapter, "edits": edits, "prompts": turns})
    return fixture.write({"cases": written})
