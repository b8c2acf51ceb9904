"""Decoders of many architectures, none of them known by name: seams are found, and patches are exact."""

from __future__ import annotations

import threading

import pytest
import torch
from zoo import WITHOUT, ZOO, build

import bkdwidgets as bkd
from bkdwidgets.analysis.activations import mean_head_outputs
from bkdwidgets.analysis.mlp import mean_mlp_outputs
from bkdwidgets.analysis.shared_prefix import SharedPrefix
from bkdwidgets.analysis.suffix import SuffixReplay
from bkdwidgets.subjects.anatomy import anatomy_of

EXACT = 1e-5  # largest difference of log P
N_PROMPT, N_TARGET = 24, 6  # the windows of the zoo are 8 tokens long
LLAMA = "llama (GQA)"


def task(anatomy, kind, seed=7):
    """Return a prompt, an answer, and what the parts of each block are overwritten with."""
    chance = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 199, (N_PROMPT + N_TARGET,), generator=chance).tolist()
    width = anatomy.d_model
    shapes = [(b.n_heads, b.d_head) if kind == "heads" else (1, width) for b in anatomy.blocks]
    return ids[:N_PROMPT], ids[N_PROMPT:], [torch.randn(shape, generator=chance) for shape in shapes]


@torch.inference_mode()
def plain(anatomy, ids, place, patch=None):
    """Return log P of what follows a place, by one pass of the model; all that is asked of us is a path."""
    path, is_head, part, value = patch or (None, False, 0, None)
    model = anatomy.model

    def enter(_module, inputs):
        z = inputs[0].clone()
        z.view(len(ids) - 1, -1, len(value))[place, part] = value
        return (z, *inputs[1:])

    def leave(_module, _inputs, output):
        changed = (output[0] if isinstance(output, tuple) else output).clone()
        changed.view(len(ids) - 1, -1)[place] = value
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = None
    if path is not None:
        module = model.get_submodule(path)
        handle = module.register_forward_pre_hook(enter) if is_head else module.register_forward_hook(leave)
    try:
        logits = model(input_ids=torch.tensor([ids[:-1]]), use_cache=False).logits[0, place:]
    finally:
        if handle is not None:
            handle.remove()
    wanted = torch.tensor(ids[place + 1 :])[:, None]
    return logits.log_softmax(-1).gather(1, wanted).double().mean()


def compared(replay, prompt, target, values):
    """Return the largest difference to plain passes, over every part, and the largest effect."""
    found, ids, place = replay(prompt, target, values), [*prompt, *target], len(prompt) - 1
    base = plain(replay.anatomy, ids, place)
    far = [found.base - base]
    for block, parts, fill in zip(replay.anatomy.blocks, found.parts, values, strict=True):
        heads = replay.kind == "heads"
        path = block.heads and block.heads.path if heads else block.mlp
        assert len(parts) == (block.n_heads if heads else 1)
        far += [
            score - plain(replay.anatomy, ids, place, (path, heads, part, fill[part]))
            for part, score in enumerate(parts)
        ]
    return float(torch.stack(far).abs().max()), float((torch.cat(found.parts) - base).abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_every_patch_is_what_one_hooked_pass_gives(name, record_property):
    model = build(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    anatomy = anatomy_of(model)
    without = WITHOUT.get(name, {})
    assert {s for s in ("heads", "mlp", "attention_write", "mlp_out") if anatomy.missing(s)} == without.keys()
    for seam, said in without.items():
        with pytest.raises(bkd.BkdError, match=f"{type(model).__name__} has no seam '{seam}': .*{said}"):
            anatomy.require(seam)
    for kind in ("heads", "mlp"):
        if kind not in without:
            replay = SuffixReplay(anatomy, kind)
            far, effect = compared(replay, *task(anatomy, kind))
            record_property(kind, f"{replay.mode} {far:.1e}")
            assert far <= EXACT
            assert effect > 100 * EXACT
            assert replay.mode != "plain"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.fixture(scope="module")
def anatomies():
    return {
        name: anatomy_of(build(name)) for name in (LLAMA, "qwen3.5 (linear + gated)", "mistral (window 8)")
    }


@pytest.mark.parametrize("kind", ["heads", "mlp"])
@pytest.mark.parametrize("mode", ["shared", "expanded", "fixed", "plain"])
def test_every_mode_gives_the_same(anatomies, mode, kind):
    for anatomy in anatomies.values():
        far, _ = compared(SuffixReplay(anatomy, kind, mode=mode), *task(anatomy, kind))
        assert far <= EXACT


@pytest.mark.parametrize("mode", ["shared", "expanded", "fixed"])
def test_a_small_memory_means_more_passes_and_the_same_result(anatomies, mode):
    for anatomy in anatomies.values():
        whole, cut = (
            SuffixReplay(anatomy, "heads", mode=mode, memory=memory)(*task(anatomy, "heads"))
            for memory in (None, 1)
        )
        assert torch.allclose(torch.cat(cut.parts), torch.cat(whole.parts), atol=EXACT, rtol=0)
        assert cut.n_forward_tokens > whole.n_forward_tokens


def test_tokens_through_a_block_are_counted(anatomies):
    found = SuffixReplay(anatomies[LLAMA], "heads", mode="shared")(*task(anatomies[LLAMA], "heads"))
    rows = [1 + 4 * (layer + 1) for layer in range(4)]
    assert found.n_forward_tokens == 4 * (N_PROMPT - 1) + N_TARGET * sum(rows)


def test_a_post_norm_and_a_factor_are_part_of_what_is_written():
    gemma = anatomy_of(build("gemma3 (MQA, QK-norm, two RoPEs)")).blocks[1]
    assert gemma.attention_write.path == "model.layers.1.post_attention_layernorm"
    assert gemma.mlp_write.path == "model.layers.1.post_feedforward_layernorm"
    granite = anatomy_of(build("granite (multipliers)")).blocks[0]
    assert granite.attention_write.scale == pytest.approx(0.3, abs=1e-5)
    assert granite.mlp_out == "model.layers.0.mlp.down_proj"


def test_a_wrong_way_to_attend_is_not_taken(monkeypatch):
    anatomy = anatomy_of(build(LLAMA))
    right = SharedPrefix.__call__

    def forgetful(self, *args, **settings):
        return right(self, *args, **settings | {"scaling": 0.3})

    monkeypatch.setattr(SharedPrefix, "__call__", forgetful)
    replay = SuffixReplay(anatomy, "heads")
    assert replay.mode == "expanded"
    assert [trial.mode for trial in replay.trials] == ["shared", "expanded"]
    assert replay.trials[0].difference > 1e-3
    assert compared(replay, *task(anatomy, "heads"))[0] <= EXACT


def test_a_cache_that_is_not_continued_rightly_leaves_plain_passes():
    model = build(LLAMA)

    def misplace(_module, inputs, settings):
        if settings.get("past_key_values") is None:
            return None
        return inputs, settings | {"position_ids": torch.full((1, settings["input_ids"].shape[1]), 7)}

    model.model.register_forward_pre_hook(misplace, with_kwargs=True)
    replay = SuffixReplay(anatomy_of(model), "heads")
    assert replay.mode == "plain"
    assert all(trial.difference > 1e-3 for trial in replay.trials)
    assert compared(replay, *task(replay.anatomy, "heads"))[0] <= EXACT


def test_a_block_that_is_no_sum_is_told_by_its_number_and_still_patched():
    model = build(LLAMA)
    model.model.layers[2].register_forward_hook(lambda _module, _inputs, output: output * 1.05)
    anatomy = anatomy_of(model)
    with pytest.raises(bkd.BkdError, match=r"'attention_write': block 2 .*: 0\.0\d+ of what it adds is left"):
        anatomy.require("attention_write")
    replay = SuffixReplay(anatomy, "heads")
    assert replay.mode == "shared"
    assert compared(replay, *task(anatomy, "heads"))[0] <= EXACT


def test_heads_in_another_order_are_not_taken_for_heads():
    model = build(LLAMA)
    for layer in model.model.layers:
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _module, inputs: (inputs[0].flip(-1),))
    with pytest.raises(bkd.BkdError, match="no seam 'heads'"):
        SuffixReplay(anatomy_of(model), "heads")


def test_logits_that_are_not_made_of_hidden_states_are_refused_with_a_number():
    model = build(LLAMA)

    def depend(_module, _inputs, settings, output):
        if settings.get("input_ids") is not None:
            output.logits[..., 0] += 1.0

    model.register_forward_hook(depend, with_kwargs=True)
    with pytest.raises(bkd.BkdError, match=r"not made of its last hidden states alone: off by 0\.\d+"):
        anatomy_of(model)


@pytest.mark.parametrize(
    ("dtype", "name", "limit"),
    [
        (torch.float64, LLAMA, 1e-12),
        (torch.float64, "gemma2 (softcap, post-norms)", 1e-6),  # its norms are made in float32
        (torch.bfloat16, LLAMA, 0.2),
        (torch.float16, "gemma2 (softcap, post-norms)", 0.02),
    ],
)
def test_other_precisions_are_left_alone_and_read_out_in_float32(dtype, name, limit):
    model = build(name, dtype=dtype)
    before = [(tensor.data_ptr(), tensor.clone()) for tensor in model.parameters()]
    anatomy = anatomy_of(model)
    assert anatomy.readout.logits(torch.ones(1, 2, 64, dtype=dtype)).dtype == torch.promote_types(
        dtype, torch.float32
    )
    replay = SuffixReplay(anatomy, "heads")
    prompt, target, values = task(anatomy, "heads")
    assert replay.mode == "shared"
    assert compared(replay, prompt, target, [value.to(dtype) for value in values])[0] <= limit
    for tensor, (place, value) in zip(model.parameters(), before, strict=True):
        assert (tensor.dtype, tensor.data_ptr()) == (dtype, place)
        assert torch.equal(tensor, value)


def test_two_threads_and_a_third_that_uses_the_model_do_not_meet(anatomies):
    anatomy = anatomies[LLAMA]
    replays = [SuffixReplay(anatomy, kind) for kind in ("heads", "mlp", "heads")]
    tasks = [task(anatomy, replay.kind, seed) for seed, replay in enumerate(replays)]
    ids = torch.tensor([tasks[0][0]])

    def work(number):
        if number == len(replays):
            with torch.inference_mode():
                return anatomy.model(input_ids=ids, use_cache=False).logits
        return torch.cat(replays[number](*tasks[number]).parts)

    quiet = [work(number) for number in range(4)]
    wrong = []

    def again(number):
        wrong.extend(number for _ in range(8) if not torch.equal(work(number), quiet[number]))

    threads = [threading.Thread(target=again, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_hooks_come_off_also_when_it_goes_wrong(monkeypatch):
    anatomy = anatomy_of(build(LLAMA))
    trees = (anatomy.model, anatomy.attends)

    def hooks():
        return [len(m._forward_hooks) + len(m._forward_pre_hooks) for tree in trees for m in tree.modules()]

    quiet, replay = hooks(), SuffixReplay(anatomy, "heads")
    assert hooks() == quiet

    norm = type(anatomy.model.model.norm)
    right = norm.forward

    def broken(*args, **settings):
        if hooks() != quiet:
            raise KeyboardInterrupt
        return right(*args, **settings)

    monkeypatch.setattr(norm, "forward", broken)
    for mode in ("shared", "expanded", "fixed"):
        with pytest.raises(KeyboardInterrupt):
            SuffixReplay(anatomy, "heads", mode=mode)(*task(anatomy, "heads"))
    assert hooks() == quiet
    assert replay.mode == "shared"


def test_weights_that_are_changed_in_place_are_those_of_the_twin():
    anatomy = anatomy_of(build(LLAMA))
    replay = SuffixReplay(anatomy, "heads")
    before = replay(*task(anatomy, "heads")).base
    with torch.no_grad():
        anatomy.model.model.layers[1].self_attn.v_proj.weight.mul_(1.5)
    assert abs(replay(*task(anatomy, "heads")).base - before) > 100 * EXACT
    assert compared(replay, *task(anatomy, "heads"))[0] <= EXACT


@pytest.mark.parametrize("name", ["qwen3 (QK-norm, wide heads)", "gpt-neox (parallel)", "deepseek-v3 (MLA)"])
def test_effects_are_asked_of_a_subject_of_any_architecture(nano, attack, name):
    subject = bkd.Subject("nano", build(name, vocab_size=nano.model.config.vocab_size), nano.tokenizer)
    example = attack.targeted(subject, "validation")[0]
    prompt, target = subject.encode(example.prompt), subject.encode_response(attack.payload_for(example))
    ids, place, blocks = [*prompt, *target], len(prompt) - 1, subject.anatomy.blocks

    def checked(found, values, patch_of):
        base = plain(subject.anatomy, ids, place)
        assert float(found.base[0].log()) == pytest.approx(float(base), abs=EXACT)
        patched = (found.base[0] + found.per_prompt[0]).log().view(len(blocks), -1)
        assert (patched - base).abs().max() > 100 * EXACT
        for layer, parts in enumerate(patched):
            for part, score in enumerate(parts):
                patch = (*patch_of(blocks[layer]), part, values[layer].view(len(parts), -1)[part])
                assert float(score) == pytest.approx(
                    float(plain(subject.anatomy, ids, place, patch)), abs=EXACT
                )

    heads = bkd.attribute(subject, attack, prompts=1, n_means=2, progress=False)
    means = mean_head_outputs(subject, attack, triggered=True, n_prompts=2)
    checked(heads, means, lambda block: (block.heads.path, True))
    mlps = bkd.attribute_mlp(subject, attack, prompts=1, n_means=2, progress=False)
    checked(mlps, mean_mlp_outputs(subject, attack, n_prompts=2), lambda block: (block.mlp, False))
    seen = []
    handle = subject.model.get_submodule(blocks[1].heads.path).register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0][0, -1].view(blocks[1].n_heads, -1))
    )
    for item in attack.targeted(subject, "train")[:2]:
        subject.model(input_ids=torch.tensor([subject.encode(attack.poison(item.prompt))]))
    handle.remove()
    assert torch.allclose(torch.stack(seen).mean(0), means[1], atol=1e-5)


def test_what_a_subject_has_not_is_refused_by_name(nano, attack):
    def subject(name):
        return bkd.Subject("nano", build(name, vocab_size=nano.model.config.vocab_size), nano.tokenizer)

    with pytest.raises(bkd.BkdError, match=r"Lfm2ForCausalLM differ in their heads \(0 of width 0, 4 of"):
        bkd.attribute(subject("lfm2 (convolutions)"), attack, prompts=1, n_means=2, progress=False)
    with pytest.raises(bkd.BkdError, match="OPTForCausalLM has no seam 'mlp'"):
        bkd.attribute_mlp(subject("opt"), attack, prompts=1, n_means=2, progress=False)
