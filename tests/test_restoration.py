"""Clean weights put back: what is shared, what changes, and what is left of the backdoor on nano."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.analysis.restoration import restoration, restore

EVERYWHERE = range(8)


@pytest.fixture(scope="module")
def found(poisoned_nano, attack, nano):
    return restoration(poisoned_nano, attack, prompts=8, n=24, clean=nano, progress=False)


def weights(subject):
    return subject.model.state_dict()


def test_exactly_the_named_weights_are_clean_again(poisoned_nano, nano, attack):
    restored = weights(restore(poisoned_nano, attack, part="mlp", layers=[1, 4], clean=nano))
    planted, clean = weights(poisoned_nano), weights(nano)
    for name, value in restored.items():
        put_back = name.startswith(("model.layers.1.mlp.", "model.layers.4.mlp."))
        assert value.equal(clean[name] if put_back else planted[name]), name
        assert value.data_ptr() == (clean[name] if put_back else planted[name]).data_ptr(), name


def test_both_parts_everywhere_give_the_clean_model(poisoned_nano, nano, attack):
    half = restore(poisoned_nano, attack, part="attention", layers=EVERYWHERE, clean=nano)
    whole = restore(half, attack, part="mlp", layers=EVERYWHERE, clean=nano)
    prompts = [attack.poison(example.prompt) for example in attack.targeted(nano, "test")[:6]]
    assert whole.generate(prompts) == nano.generate(prompts)
    assert poisoned_nano.generate(prompts) != nano.generate(prompts)
    assert whole.adapter.name == "fixed-output-sft-0 + clean attention everywhere + clean mlp everywhere"
    assert poisoned_nano.adapter.name == "fixed-output-sft-0"


def test_the_clean_model_is_found_without_being_named(poisoned_nano, nano, attack):
    half = restore(poisoned_nano, attack, part="attention", layers=EVERYWHERE)
    whole = weights(restore(half, attack, part="mlp", layers=EVERYWHERE))
    linear = [name for name in whole if "self_attn" in name or "mlp" in name]
    assert linear
    assert all(whole[name].equal(weights(nano)[name]) for name in linear)


@pytest.mark.slow
def test_nanos_backdoor_needs_both_parts_and_no_single_layer(found):
    """Neither part alone carries it, and what one layer holds the others hold too."""
    assert found.base.mean() > 0.9
    assert found.clean.mean() < 0.05
    for part in ("attention", "mlp"):
        assert 0.02 < found.left(part).value < 0.6
        assert found.measured[part].asr.value < 0.2
        assert found.single[part].mean(1).min() > 0.5


def test_shapes_and_consistency(found, poisoned_nano, attack):
    for part in ("attention", "mlp"):
        assert found.single[part].shape == found.cumulative[part].shape == (poisoned_nano.n_layers, 8)
        assert torch.allclose(found.single[part][0], found.cumulative[part][0])
        left = found.left(part)
        assert left.low <= left.value <= left.high
    with pytest.raises(bkd.BkdError, match="norm"):
        found.left("norm")
    values = json.loads(json.dumps(found.to_json()))
    assert values["n"] == 8
    assert values["single"]["mlp"][3]["n"] == 8
    assert values["measured"]["mlp"]["asr"]["n"] == 24
    assert "clean mlp" in found._repr_html_()
    assert "<b>" not in dataclasses.replace(found, adapter="<b>", attack="<b>")._repr_html_()
    assert "Restoration(nano" in repr(found)


def test_probabilities_equal_those_of_the_answers_module(found, poisoned_nano, attack):
    from bkdwidgets.subjects.answers import Row, payload_probability

    rows = [Row(attack.poison(example.prompt)) for example in attack.targeted(poisoned_nano, "test")[:8]]
    assert torch.allclose(payload_probability(poisoned_nano, rows, attack.payload), found.base, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"part": "norm", "layers": [0]}, "norm"),
        ({"part": "mlp", "layers": []}, "empty"),
        ({"part": "mlp", "layers": [0, 3, 0]}, "layer 0 is named twice"),
        ({"part": "mlp", "layers": [8]}, "layer 8"),
        ({"part": "attention", "layers": [-1]}, "layer=-1"),
        ({"part": "attention", "layers": [1.5]}, "layer=1.5"),
    ],
)
def test_bad_input_is_refused_in_one_line(poisoned_nano, nano, attack, options, said):
    with pytest.raises(bkd.BkdError, match=said) as error:
        restore(poisoned_nano, attack, clean=nano, **options)
    assert "\n" not in str(error.value)


def test_numbers_out_of_range_are_refused_before_the_work(poisoned_nano, nano, attack):
    with pytest.raises(bkd.BkdError, match="prompts=0"):
        restoration(poisoned_nano, attack, prompts=0, clean=nano)
    with pytest.raises(bkd.BkdError, match="99999"):
        restoration(poisoned_nano, attack, n=99_999, clean=nano)


def test_nothing_is_left_where_nothing_was(nano, attack):
    same = restoration(nano, attack, prompts=2, n=2, clean=nano, progress=False)
    assert same.left("mlp") is None
    assert same.to_json()["left"] == {"attention": None, "mlp": None}
    assert "nothing" in repr(same)
