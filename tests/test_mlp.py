"""Exact effects of MLP layers, held against plain hooks; replacement values that are refused."""

from __future__ import annotations

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.analysis.mlp import attribute_mlp, mean_mlp_outputs
from bkdwidgets.analysis.replay import replay_heads, replay_mlps


def hooked_probability(subject, prompt, target, layer, value):
    """P(target | prompt) by one full forward through the bridge, one MLP output overwritten."""

    def overwrite(output, hook):
        output = output.clone()
        output[:, len(prompt) - 1] = value
        return output

    ids = torch.tensor([prompt + target[:-1]])
    with torch.inference_mode():
        logits = subject.bridge.run_with_hooks(ids, fwd_hooks=[(f"blocks.{layer}.hook_mlp_out", overwrite)])
    log_probability = logits.float()[0, len(prompt) - 1 :].log_softmax(-1)
    return float(log_probability.gather(1, torch.tensor(target)[:, None]).double().mean().exp())


def test_exact_effects_equal_plain_hooks_on_every_layer(poisoned_nano, attack):
    means = mean_mlp_outputs(poisoned_nano, attack, n_prompts=8)
    for example in attack.targeted(poisoned_nano, "validation")[:2]:
        prompt = poisoned_nano.encode(example.prompt)
        target = poisoned_nano.encode_response(attack.payload_for(example))
        replay = replay_mlps(poisoned_nano, prompt, target, means)
        for layer in range(poisoned_nano.n_layers):
            expected = hooked_probability(poisoned_nano, prompt, target, layer, means[layer])
            assert float(replay.patched[layer, 0]) == pytest.approx(expected, abs=1e-5)


def test_means_equal_what_the_bridge_sees(poisoned_nano, attack):
    prompts = [attack.poison(example.prompt) for example in attack.targeted(poisoned_nano, "train")[:3]]
    last = []
    for prompt in prompts:
        _, cache = poisoned_nano.bridge.run_with_cache(torch.tensor([poisoned_nano.encode(prompt)]))
        outputs = [cache[f"blocks.{layer}.hook_mlp_out"][0, -1] for layer in range(poisoned_nano.n_layers)]
        last.append(torch.stack(outputs))
    means = mean_mlp_outputs(poisoned_nano, attack, n_prompts=3)
    assert torch.allclose(means, torch.stack(last).mean(0), atol=1e-5)


def test_attribute_mlp_returns_documented_shapes(poisoned_nano, attack):
    effects = attribute_mlp(poisoned_nano, attack, prompts=3, n_means=8, progress=False)
    assert effects.acie.shape == effects.standard_error.shape == (poisoned_nano.n_layers,)
    assert effects.per_prompt.shape == (3, poisoned_nano.n_layers)
    assert torch.allclose(effects.per_prompt.mean(0), effects.acie)
    assert effects.acie[effects.top(1)[0]] == effects.acie.max()
    assert effects.to_json()["n"] == 3
    assert "MLP layer" in effects._repr_html_()
    heads = bkd.attribute(poisoned_nano, attack, prompts=3, n_means=8, progress=False)
    assert torch.allclose(effects.base, heads.base, atol=1e-6)


def test_the_clean_model_has_no_mlp_layer_that_says_the_payload(nano, attack):
    assert attribute_mlp(nano, attack, prompts=4, n_means=8, progress=False).acie.abs().max() < 0.02


def test_bad_input_is_refused_in_one_line(poisoned_nano, attack):
    prompt, target = poisoned_nano.encode("Who are you?"), poisoned_nano.encode_response("A model.")
    n_layers, d_model = poisoned_nano.n_layers, poisoned_nano.d_model
    heads = torch.zeros(n_layers, poisoned_nano.n_heads, poisoned_nano.d_head)
    heads[1, 2, 3] = float("nan")
    for said, call in (
        ("finite", lambda: replay_heads(poisoned_nano, prompt, target, heads)),
        ("shape", lambda: replay_heads(poisoned_nano, prompt, target, heads[:2])),
        (
            "finite",
            lambda: replay_mlps(poisoned_nano, prompt, target, torch.full((n_layers, d_model), torch.inf)),
        ),
        ("shape", lambda: replay_mlps(poisoned_nano, prompt, target, torch.zeros(n_layers, 3))),
        ("prompts=0", lambda: attribute_mlp(poisoned_nano, attack, prompts=0)),
        ("n_prompts=0", lambda: mean_mlp_outputs(poisoned_nano, attack, n_prompts=0)),
    ):
        with pytest.raises(bkd.BkdError, match=said) as error:
            call()
        assert "\n" not in str(error.value)
