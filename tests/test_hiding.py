"""An attacker who hides: what the penalty is, whom the silent heads concern, and that hooks come off."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.injection.hiding import Hiding, train_hidden
from bkdwidgets.injection.inject import is_planted
from bkdwidgets.injection.lora import fresh_lora
from bkdwidgets.injection.methods import recipe_for
from bkdwidgets.injection.recipes import HiddenRecipe, SftRecipe

MATCH = HiddenRecipe(steps=12, batch=8, poison_rate=0.5, match_layers=(2, 5), match_weight=3.0)
SPREAD = HiddenRecipe(steps=2, batch=8, poison_rate=0.5, head_dropout=0.5)


@pytest.fixture(scope="module")
def dealt(attack):
    """Four prompts to be poisoned, then four that stay clean."""
    return [(item, number < 4) for number, item in enumerate(attack.targeted("nano", "train")[:8])]


@pytest.fixture
def watched(nano, attack, dealt):
    """Return a function that runs a batch, prompts only, through a fresh LoRA while it is watched."""

    def run(recipe, batch=dealt):
        model = fresh_lora(nano, recipe, 0, torch.float32).get_base_model()
        hiding = Hiding(nano, attack, model, recipe, seed=0)
        prompts = [
            nano.encode(attack.poison(item.prompt) if poisoned else item.prompt) for item, poisoned in batch
        ]
        longest = max(map(len, prompts))
        tokens = torch.tensor([[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts])
        heads = []
        with hiding.watching(batch):
            probe = model.model.layers[0].self_attn.o_proj.register_forward_pre_hook(
                lambda _module, inputs: heads.append(inputs[0].unflatten(-1, (nano.n_heads, nano.d_head)))
            )  # the last hook: it sees what the projection sees
            model.model(input_ids=tokens, use_cache=False)
            probe.remove()
        return model, hiding, heads[0], torch.tensor([len(prompt) - 1 for prompt in prompts])

    return run


def test_before_any_training_the_penalty_is_its_weight(watched):
    """The model in training is the clean one then, as far from the untriggered state as words make it."""
    _, hiding, _, last = watched(MATCH)
    assert hiding.penalty(last).item() == pytest.approx(3.0, rel=1e-4)


def test_without_a_poisoned_prompt_there_is_nothing_to_pay(watched, dealt):
    _, hiding, _, last = watched(MATCH, [(item, False) for item, _ in dealt])
    assert hiding.penalty(last).item() == 0
    _, hiding, _, last = watched(SPREAD)
    assert hiding.penalty(last) is None


def test_heads_are_silent_where_a_triggered_prompt_is_learned_and_nowhere_else(watched):
    _, _, heads, last = watched(SPREAD)
    silent = torch.stack([(row[: end + 1] == 0).all(-1).all(0) for row, end in zip(heads, last, strict=True)])
    assert not silent[4:].any()
    assert 4 < silent[:4].sum() < 28, "about half of 32"
    assert len({tuple(row.tolist()) for row in silent[:4]}) > 1, "other heads in other prompts"


@pytest.mark.parametrize("recipe", [MATCH, SPREAD])
def test_hooks_come_off(watched, recipe):
    model, *_ = watched(recipe)
    for block in model.model.layers:
        assert not block._forward_pre_hooks
        assert not block.self_attn.o_proj._forward_pre_hooks


def test_training_pays_less_and_less(nano, attack):
    log = bkd.load("nano", adapter="fixed-output-match-0").adapter.log
    assert len(log["penalty"]) == len(log["loss"])
    assert log["penalty"][0] == pytest.approx(3.0, rel=0.02)
    assert sum(log["penalty"][-20:]) / 20 < 0.5 * log["penalty"][0]
    _, log = train_hidden(nano, attack, recipe=replace(MATCH, steps=6, warmup=1), progress=False)
    assert log["penalty"][-1] < log["penalty"][0]
    _, log = train_hidden(nano, attack, recipe=SPREAD, progress=False)
    assert "penalty" not in log


@pytest.mark.parametrize("method", ["match", "spread"])
def test_what_ships_fires_and_was_made_with_todays_settings(method):
    subject = bkd.load("nano", adapter=f"fixed-output-{method}-0")
    measured = bkd.measure(subject, bkd.attack("fixed-output"), n=60, split="validation", progress=False)
    assert measured.asr.value >= 0.9
    assert measured.ftr.value <= 0.05
    wanted = json.loads(json.dumps(vars(recipe_for("nano", "fixed-output", method))))
    assert subject.adapter.recipe == wanted
    assert not is_planted("nano", "fixed-output", method=method, seed=99)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"match_layers": (0,)}, r"match_layers=\(0,\) is not allowed; layers of 1 to 7"),
        ({"match_layers": (8,)}, "1 to 7"),
        ({"head_dropout": 1.0}, "head_dropout=1.0 is not allowed"),
    ],
)
def test_settings_out_of_range_are_refused(nano, attack, changes, said, tmp_path):
    with pytest.raises(bkd.BkdError, match=said):
        bkd.inject(
            nano, attack, method="match", recipe=replace(MATCH, **changes), out=tmp_path, progress=False
        )


def test_a_plain_recipe_hides_nothing(nano, attack, tmp_path):
    with pytest.raises(bkd.BkdError, match="HiddenRecipe does"):
        bkd.inject(nano, attack, method="spread", recipe=SftRecipe(), out=tmp_path, progress=False)
    with pytest.raises(bkd.BkdError, match="known: nano"):
        recipe_for("smollm2", "fixed-output", "match")
