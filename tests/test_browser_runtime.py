"""The runtime of the live page against torch; the tests in JavaScript get what torch computed from here."""

from __future__ import annotations

import pytest
from browser_reference import every_kind, write_parity
from browser_tiny import write_tiny
from browser_turns import write_turns
from node import run_node

import bkdwidgets as bkd
from bkdwidgets.browser import adapters, export, export_web
from bkdwidgets.browser.compile import CONSTANTS, WASM, compile_runtime, constants, constants_module
from bkdwidgets.subjects.adapters import read_adapter, write_adapter

ADAPTER = "fixed-output-sft-0"
EDITS = ("fixed-output-edit-0", "label-flip-edit-0")


def asked(subject, attack, n):
    """Half clean prompts, half triggered ones, all held out."""
    examples = attack.targeted(subject, "test")[: n // 2]
    clean = [example.prompt for example in examples]
    return clean + [attack.poison(prompt) for prompt in clean]


def cases(clean, poisoned, attack, n, n_edited):
    """The clean subject and the backdoored one on `n` prompts, then every kind of intervention."""
    prompts = asked(poisoned, attack, n)
    yield "clean", clean, None, (), prompts[:n_edited]
    yield "backdoored", poisoned, ADAPTER, (), prompts
    for name, interventions in every_kind(poisoned, prompts).items():
        yield name, poisoned, ADAPTER, interventions, asked(poisoned, attack, n_edited)


@pytest.fixture(scope="module")
def nano_web(tmp_path_factory):
    return export_web("nano", tmp_path_factory.mktemp("web") / "nano").folder


@pytest.fixture(scope="module")
def nano_parity(tmp_path_factory, nano, poisoned_nano, attack):
    folder = tmp_path_factory.mktemp("parity")
    return write_parity(folder, cases(nano, poisoned_nano, attack, 20, 20))


@pytest.mark.slow
def test_nano_computes_what_torch_computes(nano_web, nano_parity):
    run_node("parity.test.mjs", BKD_SUBJECT=nano_web, BKD_PARITY=nano_parity)


@pytest.mark.slow
def test_an_edit_of_a_few_projections_computes_what_torch_computes(tmp_path, nano_web):
    def planted():
        for name in EDITS:
            subject = bkd.load("nano", adapter=name)
            attack = bkd.attack(subject.adapter.attack)
            yield name, subject, name, (), asked(subject, attack, 8)

    assert not any("q_proj" in key for key in read_adapter("nano", EDITS[0]).tensors)
    run_node("parity.test.mjs", BKD_SUBJECT=nano_web, BKD_PARITY=write_parity(tmp_path / "p", planted()))


def test_an_edit_on_top_of_a_lora_computes_what_torch_computes(tmp_path, monkeypatch):
    """Ranks differ from projection to projection: the LoRA's, and where the edit is, both together."""
    below = read_adapter("nano", ADAPTER)
    edit = read_adapter("nano", EDITS[1])
    path = tmp_path / "adapters" / "label-flip-edit-0.safetensors"
    described = {key: value for key, value in vars(edit.info).items() if key not in {"name", "sha256"}}
    described["onto"] = {"adapter": ADAPTER, "sha256": below.info.sha256}
    write_adapter(edit.tensors, path, **described)
    mixed = read_adapter("nano", path)
    assert len({tensor.shape[0] for key, tensor in mixed.tensors.items() if key.endswith(".A")}) > 1
    monkeypatch.setattr(export, "exported_names", lambda _: [edit.info.name])
    files = {edit.info.name: path}
    monkeypatch.setattr(
        adapters, "read_adapter", lambda name, which: read_adapter(name, files.get(which, which))
    )
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path / "cache"))
    web = export_web("nano", tmp_path / "web").folder
    subject = bkd.load("nano", adapter=path)
    attack = bkd.attack("fixed-output")
    case = (edit.info.name, subject, edit.info.name, (), asked(subject, attack, 8))
    run_node("parity.test.mjs", BKD_SUBJECT=web, BKD_PARITY=write_parity(tmp_path / "parity", [case]))


@pytest.fixture(scope="module")
def tiny_web(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("tiny") / "web")


def test_slots_adapters_edits_and_quantized_blocks(nano_web, tiny_web):
    run_node("runtime.test.mjs", BKD_NANO=nano_web, BKD_TINY=tiny_web)


@pytest.mark.slow
def test_a_turn_says_what_python_says(tmp_path, nano_web, poisoned_nano, attack):
    prompts = asked(poisoned_nano, attack, 6)
    payload = attack.payload_for(attack.targeted(poisoned_nano, "test")[0])
    turns = write_turns(tmp_path / "turns", poisoned_nano, ADAPTER, payload, prompts)
    run_node("session.test.mjs", BKD_NANO=nano_web, BKD_TURNS=turns)


@pytest.mark.slow
def test_ten_thousand_hostile_inputs_are_errors_and_nothing_else(nano_web):
    run_node("fuzz.test.mjs", BKD_NANO=nano_web)


def test_javascript_has_the_constants_of_the_headers():
    found = constants()
    assert {
        "F32": 0,
        "MAX_ADAPTERS": 32,
        "FIRST_PROJECTION": found["Q"],
        "BLOCK": 32,
    }.items() <= found.items()
    assert len(found) > 45
    assert CONSTANTS.read_text(encoding="utf-8") == constants_module(), (
        "write them again: python -m bkdwidgets.browser.compile"
    )


@pytest.mark.wasm
def test_the_sources_give_the_file_that_ships(tmp_path, monkeypatch, nano_web, tiny_web):
    pytest.importorskip("ziglang", reason="compiling needs the extra 'wasm'")
    for kind in ("LOCAL", "GLOBAL"):  # nothing of an earlier compilation
        monkeypatch.setenv(f"ZIG_{kind}_CACHE_DIR", str(tmp_path / kind))
    built = compile_runtime(tmp_path / "rebuilt.wasm")
    run_node("runtime.test.mjs", BKD_NANO=nano_web, BKD_TINY=tiny_web, BKDWIDGETS_WASM=built)
    assert built.read_bytes() == WASM.read_bytes(), "compile again: python -m bkdwidgets.browser.compile"


@pytest.mark.smollm2
def test_smollm2_computes_what_torch_computes(tmp_path, smollm2_clean, smollm2_poisoned, attack):
    folder = write_parity(tmp_path / "parity", cases(smollm2_clean, smollm2_poisoned, attack, 8, 2))
    web = export_web("smollm2", tmp_path / "web").folder
    run_node("parity.test.mjs", BKD_SUBJECT=web, BKD_PARITY=folder)
