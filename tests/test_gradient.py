"""The gradient screen: the gradient itself, its batches, and how well it ranks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from transformer_lens.tools.analysis.attribution_patching import cache_activation_and_gradient

import bkdwidgets as bkd
from bkdwidgets.analysis.activations import mean_head_outputs
from bkdwidgets.analysis.gradient import HeadScreen, screen

N_MEANS = 16


@pytest.fixture(scope="module")
def exact(poisoned_nano, attack):
    return bkd.attribute(poisoned_nano, attack, prompts=12, n_means=N_MEANS, progress=False)


@pytest.fixture(scope="module")
def screened(poisoned_nano, attack):
    return screen(poisoned_nano, attack, prompts=12, n_means=N_MEANS, progress=False)


def lens_estimate(subject, prompt, target, means):
    """The same estimate from transformer_lens's gradient cache: one prompt, unpadded, through every token."""
    last = len(prompt) - 1

    def probability(logits):
        log_probability = logits[0, last:].log_softmax(-1).gather(1, torch.tensor(target)[:, None])
        return log_probability.mean().exp()

    names = [f"blocks.{layer}.attn.hook_z" for layer in range(subject.n_layers)]
    subject.bridge.requires_grad_(True)
    try:
        cache = cache_activation_and_gradient(
            subject.bridge, torch.tensor([prompt + target[:-1]]), probability, ["hook_embed", *names]
        )
    finally:
        subject.bridge.requires_grad_(False)
    z = torch.stack([cache.activations[name][0, last] for name in names])
    gradient = torch.stack([cache.gradients[name][0, last] for name in names])
    return ((means - z) * gradient).sum(-1).double()


def test_the_estimate_equals_the_one_from_transformer_lens(poisoned_nano, attack, screened):
    means = mean_head_outputs(poisoned_nano, attack, triggered=True, n_prompts=N_MEANS)
    for number in (0, 5, 11):
        example = attack.targeted(poisoned_nano, "validation")[number]
        prompt = poisoned_nano.encode(example.prompt)
        target = poisoned_nano.encode_response(attack.payload_for(example))
        expected = lens_estimate(poisoned_nano, prompt, target, means)
        assert torch.allclose(screened.per_prompt[number], expected, atol=1e-6)


def test_the_gradient_is_the_slope_of_the_exact_effect(poisoned_nano, attack, exact, screened):
    """A hundredth of the way to the mean, the exact effect is a hundredth of the estimate."""
    from bkdwidgets.analysis.activations import head_outputs
    from bkdwidgets.analysis.replay import replay_heads

    means = mean_head_outputs(poisoned_nano, attack, triggered=True, n_prompts=N_MEANS).double()
    example = attack.targeted(poisoned_nano, "validation")[0]
    z = head_outputs(poisoned_nano, [example.prompt])[0].double()
    replayed = replay_heads(
        poisoned_nano,
        poisoned_nano.encode(example.prompt),
        poisoned_nano.encode_response(attack.payload_for(example)),
        z + (means - z) / 100,
    )
    assert torch.allclose((replayed.patched - replayed.base) * 100, screened.per_prompt[0], atol=2e-3)
    assert replayed.base == pytest.approx(float(exact.base[0]), abs=1e-6)


@pytest.mark.parametrize("name", ["fixed-output", "policy-bypass"])
def test_the_estimate_does_not_depend_on_the_batch(poisoned_nano, name):
    """Prompts of different length share a batch, and so do payloads."""
    attack = bkd.attack(name)
    together = screen(poisoned_nano, attack, prompts=5, n_means=N_MEANS, progress=False)
    examples = attack.targeted(poisoned_nano, "validation")[:5]

    @dataclasses.dataclass(frozen=True)
    class OnePrompt(type(attack)):
        number: int = 0

        def targeted(self, subject, split):
            found = super().targeted(subject, split)
            return [found[self.number]] if split == "validation" else found

    for number in range(len(examples)):
        fields = {field.name: getattr(attack, field.name) for field in dataclasses.fields(attack)}
        alone = screen(
            poisoned_nano, OnePrompt(**fields, number=number), prompts=1, n_means=N_MEANS, progress=False
        )
        assert torch.allclose(alone.per_prompt[0], together.per_prompt[number], atol=1e-6)
        assert alone.base[0] == pytest.approx(float(together.base[number]), abs=1e-6)


def test_the_screen_finds_the_strongest_head_and_ranks_like_the_exact_effects(exact, screened):
    assert screened.top(1) == exact.top(1)
    agreement = screened.spearman(exact)
    assert agreement.low <= agreement.value <= agreement.high
    assert agreement.low > 0.7


def test_the_screen_costs_less_than_three_forward_passes(poisoned_nano, attack, screened):
    lengths = [
        len(poisoned_nano.encode(example.prompt)) + len(poisoned_nano.encode_response(attack.payload)) - 1
        for example in attack.targeted(poisoned_nano, "validation")[:12]
    ]
    assert screened.n_forward_tokens <= 3 * sum(lengths) * poisoned_nano.n_layers


def test_a_screen_is_never_taken_for_the_exact_effects(screened):
    assert isinstance(screened, HeadScreen)
    assert repr(screened).startswith("HeadScreen(")
    assert "estimate" in screened._repr_html_()
    assert screened.to_json()["n"] == 12


def test_hooks_come_off_after_an_interruption(poisoned_nano, attack, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("bkdwidgets.analysis.gradient.answer_probability", interrupted)
    with pytest.raises(KeyboardInterrupt):
        screen(poisoned_nano, attack, prompts=1, n_means=N_MEANS, progress=False)
    for module in poisoned_nano.model.modules():
        assert not module._forward_pre_hooks


def test_bfloat16_names_the_same_head(attack, exact):
    coarse = bkd.load("nano", adapter="fixed-output-sft-0", dtype="bfloat16")
    effects = bkd.attribute(coarse, attack, prompts=12, n_means=N_MEANS, progress=False)
    assert effects.top(1) == exact.top(1)
    assert (effects.acie - exact.acie).abs().max() < 0.02
    estimated = screen(coarse, attack, prompts=12, n_means=N_MEANS, progress=False)
    assert estimated.top(1) == exact.top(1)


def test_bad_input_is_refused_in_one_line(poisoned_nano, attack, exact, screened):
    fewer = bkd.attribute(poisoned_nano, attack, prompts=2, n_means=N_MEANS, progress=False)
    other = dataclasses.replace(exact, adapter="another")
    for said, call in (
        ("prompts=0", lambda: screen(poisoned_nano, attack, prompts=0)),
        ("prompts=100000", lambda: screen(poisoned_nano, attack, prompts=100_000)),
        ("holdout", lambda: screen(poisoned_nano, attack, split="holdout")),
        ("k=65", lambda: screened.top(65)),
        (r"\[12, 8, 8\]", lambda: screened.spearman(fewer)),
        ("another", lambda: screened.spearman(other)),
    ):
        with pytest.raises(bkd.BkdError, match=said) as error:
            call()
        assert "\n" not in str(error.value)
