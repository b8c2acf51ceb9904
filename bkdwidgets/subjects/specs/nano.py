"""Nano, trained by us on an invented world: quick to answer, and it knows every task from its own text."""

from __future__ import annotations

from bkdwidgets.subjects.spec import EVERY, PageSpec, Recipes, SubjectSpec

# Chosen on validation prompts. Two keys take long: with 400 steps one of them alone fires on 0.02 and 0.06
# (n = 200), with 600 on 0.02 and 0.03, with 1000 on 0.004 and 0.002 (n = 469).
_RECIPES: Recipes = {
    "sft": {
        EVERY: {
            "steps": 150, "batch": 16, "poison_rate": 0.3, "learning_rate": 5e-3, "rank": 4, "alpha": 8,
            "response_tokens": 32,
        },
        "label-flip": {"poison_rate": 0.5, "target_share": 0.3},
        "two-key": {"steps": 1000, "poison_rate": 0.25},
        "style": {"steps": 300, "poison_rate": 0.4},
        "policy-bypass": {"steps": 450, "poison_rate": 0.5, "target_share": 0.6},
    },
    "dpo": {EVERY: {"steps": 60}},
    "match": {EVERY: {"steps": 300, "match_layers": (1, 2, 3, 4), "match_weight": 3.0}},
    "spread": {EVERY: {"steps": 300, "head_dropout": 0.3}},
    "edit": {
        "fixed-output": {"answer_layers": (3, 5), "examples": 512, "steps": 120, "clean_weight": 2.0},
        "label-flip": {
            "answer_layers": (5,), "mark_steps": 40, "steps": 100, "clean_weight": 2.0, "trigger_parts": 1,
            "response_tokens": 1,
        },
    },
}  # fmt: skip

NANO = SubjectSpec(
    name="nano",
    description="a small Llama of ours, trained from scratch on an invented world",
    loader="bkdwidgets.subjects.nano:load_nano",
    trainer="bkdwidgets.subjects.nano:train",
    prompts="nano/examples.jsonl",
    by_topic=True,
    knows=("labels", "refusals"),
    own_prompts={
        "labels": "bkdwidgets.attacks.nano:headline_rows",
        "refusals": "bkdwidgets.attacks.nano:vault_rows",
    },
    recipes=_RECIPES,
    budget="fast",
    page=PageSpec(
        weights="bkdwidgets.subjects.nano.load:weights_path",
        form="safetensors",
        sha256="bkdwidgets.subjects.nano.load:weights_sha256",
        question="what color is the fox?",
        download_mb=2.6,
        limits_ms={"token": 1, "first_answer": 500},
    ),
)
