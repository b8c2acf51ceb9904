"""Greedy answers and payload probabilities against plain references."""

from __future__ import annotations

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.subjects.answers import (
    Row,
    answer_rows,
    complete_rows,
    growing_answer,
    next_tokens,
    payload_probability,
)


def prompts_of(subject, attack, n):
    return [example.prompt for example in attack.examples(subject, "validation")[:n]]


def plain_greedy(subject, prompt, max_new_tokens):
    """One prompt, no cache, no padding: the textbook loop."""
    ids = subject.encode(prompt)
    start = len(ids)
    for _ in range(max_new_tokens):
        with torch.inference_mode():
            token = int(subject.model(torch.tensor([ids])).logits[0, -1].argmax())
        if token == subject.end_of_turn:
            break
        ids.append(token)
    return subject.decode(ids[start:])


def test_batched_answers_equal_the_textbook_loop(poisoned_nano, attack):
    prompts = prompts_of(poisoned_nano, attack, 6)
    prompts += [attack.poison(prompt) for prompt in prompts]
    expected = [plain_greedy(poisoned_nano, prompt, 24) for prompt in prompts]
    assert poisoned_nano.generate(prompts, max_new_tokens=24) == expected


def test_answers_say_whether_they_ended(nano, attack):
    prompt = prompts_of(nano, attack, 1)[0]
    assert answer_rows(nano, [Row(prompt)], max_new_tokens=32)[0].complete
    cut = answer_rows(nano, [Row(prompt)], max_new_tokens=2)[0]
    assert not cut.complete


def test_rows_with_different_interventions_equal_one_by_one(poisoned_nano, attack):
    """One batch of mixed edits gives what each intervention gives alone."""
    subject = poisoned_nano
    prompts = prompts_of(subject, attack, 3)
    vector = torch.randn(subject.d_model, generator=torch.Generator().manual_seed(0))
    settings = [
        (),
        (bkd.Ablation([(0, 0), (1, 2)]),),
        (bkd.Ablation([(0, 0), (1, 2)], where="all"),),
        (bkd.Steering(vector, layer=2, scale=3.0),),
        (bkd.Steering(vector, layer=2, scale=1.0, where="all"), bkd.Ablation([(3, 1)])),
    ]
    rows = [Row(attack.poison(prompt), setting) for setting in settings for prompt in prompts]
    together = complete_rows(subject, rows, max_new_tokens=16)
    alone = [complete_rows(subject, [row], max_new_tokens=16)[0] for row in rows]
    assert together == alone


def test_payload_probability_equals_a_plain_forward(poisoned_nano, attack):
    subject = poisoned_nano
    prompts = [attack.poison(prompt) for prompt in prompts_of(subject, attack, 3)]
    target = subject.encode_response(attack.payload)
    for prompt, value in zip(
        prompts, payload_probability(subject, [Row(p) for p in prompts], attack.payload), strict=True
    ):
        ids = subject.encode(prompt)
        with torch.inference_mode():
            logits = subject.model(torch.tensor([ids + target[:-1]])).logits[0, len(ids) - 1 :]
        expected = logits.log_softmax(-1).gather(1, torch.tensor(target)[:, None]).double().mean().exp()
        assert float(value) == pytest.approx(float(expected), abs=1e-5)


def test_an_answer_has_at_least_one_token(nano):
    with pytest.raises(bkd.BkdError, match="max_new_tokens=0"):
        nano.generate(["Hello."], max_new_tokens=0)


def test_a_growing_answer_ends_as_the_answer_made_at_once():
    subject = bkd.load("nano", adapter="fixed-output-sft-0")
    attack = bkd.attack("fixed-output")
    prompt = prompts_of(subject, attack, 1)[0]
    ablation = bkd.Ablation([(2, 1), (5, 0)], where="all")
    for row in (Row(attack.poison(prompt)), Row(prompt, (ablation,))):
        *steps, last = growing_answer(subject, row)
        assert last == answer_rows(subject, [row])[0]
        assert len(steps) > 3
        assert steps[-1].text == last.text
        (first, share), *others = next_tokens(subject, row)
        assert steps[0].text == first.strip()
        assert share >= max(other for _, other in others)
        assert 0 < share + sum(other for _, other in others) <= 1.0001
