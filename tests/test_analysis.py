"""Attribution, ablation and steering: parity with plain hooks, controls, and clear errors."""

from __future__ import annotations

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.analysis.activations import head_outputs, mean_head_outputs
from bkdwidgets.analysis.controls import random_heads
from bkdwidgets.analysis.replay import replay_heads


def hooked_probability(subject, prompt, target, *patch):
    """P(target | prompt) by one full forward through the bridge; `patch` is (layer, head, value)."""

    def overwrite(z, hook):
        _, head, value = patch
        z = z.clone()
        z[:, len(prompt) - 1, head] = value
        return z

    hooks = [(f"blocks.{patch[0]}.attn.hook_z", overwrite)] if patch else []
    ids = torch.tensor([prompt + target[:-1]])
    with torch.inference_mode():
        logits = subject.bridge.run_with_hooks(ids, fwd_hooks=hooks).float()[0, len(prompt) - 1 :]
    return float(logits.log_softmax(-1).gather(1, torch.tensor(target)[:, None]).double().mean().exp())


def assert_replay_equals_hooks(subject, attack, heads, n_prompts):
    means = mean_head_outputs(subject, attack, triggered=True, n_prompts=8)
    target = subject.encode_response(attack.payload)
    for example in attack.examples(subject, "validation")[:n_prompts]:
        prompt = subject.encode(example.prompt)
        replay = replay_heads(subject, prompt, target, means)
        assert float(replay.base) == pytest.approx(hooked_probability(subject, prompt, target), abs=1e-5)
        for layer, head in heads:
            expected = hooked_probability(subject, prompt, target, layer, head, means[layer, head])
            assert float(replay.patched[layer, head]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_exact_acie_equals_plain_hooks_on_every_head(poisoned_nano, attack):
    heads = [
        (layer, head) for layer in range(poisoned_nano.n_layers) for head in range(poisoned_nano.n_heads)
    ]
    assert_replay_equals_hooks(poisoned_nano, attack, heads, n_prompts=2)


@pytest.mark.smollm2
def test_exact_acie_equals_plain_hooks_on_smollm2(smollm2_poisoned, attack):
    heads = [(0, 0), (7, 3), (14, 8), (26, 1), (27, 5), (29, 8)]
    assert_replay_equals_hooks(smollm2_poisoned, attack, heads, n_prompts=1)


def test_head_outputs_do_not_depend_on_the_batch(poisoned_nano, attack):
    prompts = [example.prompt for example in attack.examples(poisoned_nano, "train")[:5]]
    together = head_outputs(poisoned_nano, prompts)
    alone = torch.cat([head_outputs(poisoned_nano, [prompt]) for prompt in prompts])
    assert torch.allclose(together, alone, atol=1e-5)


def test_attribute_returns_documented_shapes(poisoned_nano, attack):
    effects = bkd.attribute(poisoned_nano, attack, prompts=3, progress=False)
    shape = (poisoned_nano.n_layers, poisoned_nano.n_heads)
    assert effects.acie.shape == shape
    assert effects.per_prompt.shape == (3, *shape)
    assert torch.allclose(effects.per_prompt.mean(0), effects.acie)
    first, second = effects.top(2)
    assert effects.acie[first] == effects.acie.max()
    assert effects.acie[first] >= effects.acie[second]
    assert "ACIE" in effects._repr_html_()
    with pytest.raises(bkd.BkdError, match="k=0"):
        effects.top(0)
    with pytest.raises(bkd.BkdError, match="prompts=100000"):
        bkd.attribute(poisoned_nano, attack, prompts=100_000)


def hooks_on(subject):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in subject.model.modules()
    )


def test_interventions_come_off_also_after_an_exception(poisoned_nano, attack, monkeypatch):
    prompt = attack.poison("Who are you?")
    before = poisoned_nano.generate([prompt])
    heads = [(layer, head) for layer in range(2) for head in range(poisoned_nano.n_heads)]
    changed = poisoned_nano.generate([prompt], interventions=[bkd.Ablation(heads, where="all")])
    assert changed != before
    assert hooks_on(poisoned_nano) == 0

    def interrupted(*_args, **_kwargs):
        assert hooks_on(poisoned_nano) > 0
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(poisoned_nano.model.model), "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            poisoned_nano.generate([prompt], interventions=[bkd.Ablation(heads, where="all")])
    assert hooks_on(poisoned_nano) == 0
    assert poisoned_nano.generate([prompt]) == before


def test_a_zero_scale_or_an_empty_set_changes_nothing(poisoned_nano, attack):
    prompts = [attack.poison(example.prompt) for example in attack.examples(poisoned_nano, "validation")[:3]]
    vector = torch.ones(poisoned_nano.d_model)
    plain = poisoned_nano.generate(prompts)
    assert poisoned_nano.generate(prompts, interventions=[bkd.Steering(vector, layer=0, scale=0.0)]) == plain
    assert poisoned_nano.generate(prompts, interventions=[bkd.Ablation([])]) == plain


def test_vector_is_the_sum_of_what_the_heads_write(poisoned_nano, attack):
    heads = [(0, 1), (2, 3)]
    vector = bkd.backdoor_vector(poisoned_nano, attack, heads=heads)
    means = mean_head_outputs(poisoned_nano, attack, triggered=True)
    expected = torch.zeros(poisoned_nano.d_model)
    for layer, head in heads:
        z = torch.zeros(poisoned_nano.n_heads, poisoned_nano.d_head)
        z[head] = means[layer, head]
        expected += poisoned_nano.model.model.layers[layer].self_attn.o_proj(z.flatten()).detach()
    assert torch.allclose(vector.tensor, expected, atol=1e-5)
    control = bkd.backdoor_vector(poisoned_nano, attack, heads=heads, kind="random", seed=1)
    assert control.norm == pytest.approx(vector.norm, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda s: bkd.Ablation([(99, 0)]).edits(s), "head L99H0 is out of range"),
        (lambda s: bkd.Ablation([(0, 99)]).edits(s), "L0H99"),
        (lambda _: bkd.Ablation([(0, 0), (0, 0)]), "L0H0"),
        (lambda _: bkd.Ablation([(0, 0)], kind="blur"), "blur"),
        (lambda _: bkd.Ablation([(0, 0)], where="first"), "first"),
        (lambda _: bkd.Ablation(["L0H0"]), "L0H0"),
        (lambda s: bkd.Ablation([(0, 0)], kind="mean").edits(s), "fill"),
        (lambda s: bkd.Steering(torch.ones(s.d_model), layer=-1).edits(s), "layer=-1"),
        (lambda s: bkd.Steering(torch.ones(3), layer=0).edits(s), r"\[3\]"),
        (lambda s: bkd.Steering(torch.full((s.d_model,), float("nan")), layer=0), "finite"),
        (lambda s: bkd.Steering(torch.ones(s.d_model), layer=0, scale=float("inf")), "inf"),
        (lambda s: bkd.backdoor_vector(s, bkd.attack("fixed-output"), heads=[]), "empty"),
        (lambda s: bkd.backdoor_vector(s, bkd.attack("fixed-output"), heads=[(0, 0)], kind="best"), "best"),
    ],
)
def test_bad_input_is_refused_in_one_line(nano, make, said):
    with pytest.raises(bkd.BkdError, match=said) as error:
        make(nano)
    assert "\n" not in str(error.value)


def test_random_heads_keep_the_layers():
    heads = [(0, 0), (0, 1), (3, 2)]
    drawn = random_heads(heads, 8, seed=5)
    assert sorted(layer for layer, _ in drawn) == [0, 0, 3]
    assert len(set(drawn)) == 3
    assert not set(drawn) & set(heads)
    assert drawn == random_heads(heads, 8, seed=5)
    whole_layer = [(1, head) for head in range(8)]
    assert sorted(random_heads(whole_layer, 8, seed=0)) == whole_layer
