"""Adapter files: a LoRA as safetensors, and beside it a JSON file that says where it came from.

``W + scale * B A`` for each adapted projection, with ``A`` [rank, in] and ``B`` [out, rank] stored in
float16 under ``layers.{l}.{projection}.{A|B}``; projections that are not named stay as they are. The JSON
carries the subject, the attack, the recipe, the training log and the SHA-256 of the weights; a file whose
hash differs is refused.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from bkdwidgets.core.errors import BkdError, shown, unknown
from bkdwidgets.core.paths import cache_dir, check_name, data_dir, sha256_of, written_beside
from bkdwidgets.core.schema import json_object, typed

PROJECTIONS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


@dataclass(frozen=True)
class AdapterInfo:
    """What an adapter is and how it was made.

    Attributes
    ----------
    name, subject, attack, method : str
        For example ``"fixed-output-sft-0"``, ``"smollm2"``, ``"fixed-output"``, ``"sft"``.
    seed : int
        Seed of the injection.
    sha256 : str
        Hash of the weights file.
    scale : float
        Factor of ``B A`` (LoRA's alpha / rank).
    recipe : dict
        Every setting of the injection.
    log : dict
        Loss per step, seconds, tokens, device and versions.
    onto : dict or None
        ``adapter`` and ``sha256`` of another adapter that the file adds to; None: to the clean subject.
    """

    name: str
    subject: str
    attack: str
    method: str
    seed: int
    sha256: str
    scale: float
    recipe: dict[str, Any] = field(default_factory=dict)
    log: dict[str, Any] = field(default_factory=dict)
    onto: dict[str, str] | None = None


@dataclass(frozen=True)
class Adapter:
    """An adapter's description and its tensors, with those of the adapter it adds to."""

    info: AdapterInfo
    tensors: dict[str, torch.Tensor]


def adapter_folder(subject: str) -> Path:
    """Return the folder of the adapters that ship for a subject."""
    return data_dir() / "adapters" / check_name("subject", subject)


def own_folder(subject: str) -> Path:
    """Return the folder of the adapters that were injected on this machine and given no other place."""
    return cache_dir() / "adapters" / check_name("subject", subject)


def adapter_names(subject: str) -> list[str]:
    """Return the names of the adapters that ship for a subject."""
    return sorted(path.stem for path in adapter_folder(subject).glob("*.safetensors"))


def adapter_info(subject: str, name: str | Path) -> AdapterInfo:
    """Read what an adapter is, without its weights and so without a check of them.

    Raises
    ------
    BkdError
        If there is none of that name, its description is missing or damaged, or it belongs to another
        subject.
    """
    return _described(subject, _path_of(subject, name))


def _described(subject: str, path: Path) -> AdapterInfo:
    described = path.with_suffix(".json")
    if not described.is_file():
        raise BkdError(
            f"adapter {path}: its description {described.name} is missing; bkd.inject writes the two side by "
            "side, and an adapter of another tool (peft) can not be loaded"
        )
    try:
        info = typed(json_object(described.read_bytes()), AdapterInfo)
    except (OSError, ValueError) as error:
        raise BkdError(
            f"adapter {path.stem}: {described} is damaged ({error}); fetch or inject it again"
        ) from error
    check_name(f"{described.name}: adapter", info.name)
    check_name(f"{described.name}: attack", info.attack)
    if not math.isfinite(info.scale):
        raise BkdError(f"adapter {info.name!r} has scale {info.scale}; a finite number")
    if info.subject != subject:
        raise BkdError(f"adapter {info.name!r} was made for subject {info.subject!r}, not for {subject!r}")
    return info


def _path_of(subject: str, name: str | Path) -> Path:
    """Return the file of an adapter: the one named by its path, the one that ships, or the one made here.

    Raises
    ------
    BkdError
        If there is none; names the known ones.
    """
    if not isinstance(name, str | os.PathLike):
        raise BkdError(f"adapter={shown(name)} is not allowed; a name, or the path of a .safetensors file")
    given = Path(name).expanduser()
    if given.suffix == ".safetensors":
        if not given.is_file():
            raise BkdError(f"adapter {shown(str(name))} is not there; a name, or the path of a file that is")
        return given
    folders = (adapter_folder(subject), own_folder(subject))
    if len(given.parts) == 1:
        check_name("adapter", given.name)
        for folder in folders:
            if (path := folder / f"{given.name}.safetensors").is_file():
                return path
    if given.is_dir():
        raise BkdError(
            f"adapter {shown(str(name))} is a folder; a name, or the path of a .safetensors file that "
            "bkd.inject wrote: an adapter of another tool (peft) can not be loaded"
        )
    own = sorted(path.stem for path in folders[1].glob("*.safetensors"))
    raise unknown(f"adapter of {subject}", str(name), dict.fromkeys([*adapter_names(subject), *own]))


def namesake(subject: str, path: Path) -> Path | None:
    """Return the other adapter of the same name, if there is one: a shipped one, and one injected here.

    Where both are there and differ, the name alone means the shipped one.
    """
    folders = (adapter_folder(subject), own_folder(subject))
    for folder, other in (folders, folders[::-1]):
        there = other / path.name
        if path == folder / path.name and there.is_file() and sha256_of(there) != sha256_of(path):
            return there
    return None


def read_adapter(subject: str, name: str | Path) -> Adapter:
    """Read and check an adapter by name, or by the path of its ``.safetensors`` file.

    A name means the adapter that ships, and where none of that name does, the one that was injected here.
    Where there are both and they differ, a line on standard error says which one was read.

    Raises
    ------
    BkdError
        If there is none of that name, a file is missing or damaged, it belongs to another subject, or the
        adapter that it adds to is missing or is not the one it was made on.
    """
    path = _path_of(subject, name)
    info = _described(subject, path)
    if not str(name).endswith(".safetensors") and (other := namesake(subject, path)):
        print(  # noqa: T201
            f"bkdwidgets: adapter {path.stem!r} is the one that ships; another was injected here: {other}",
            file=sys.stderr,
        )
    if (found := sha256_of(path)) != info.sha256:
        raise BkdError(
            f"adapter {path} is damaged: sha256 {found[:12]}..., expected {info.sha256[:12]}...; "
            "fetch or inject it again"
        )
    try:
        tensors = load(path.read_bytes())
    except SafetensorError as error:
        raise BkdError(f"adapter {path} is damaged ({error}); fetch or inject it again") from error
    if info.onto is not None:
        tensors = _stacked(_below(subject, info, path.parent), tensors, info.scale)
    return Adapter(info=info, tensors=tensors)


def _below(subject: str, info: AdapterInfo, folder: Path) -> Adapter:
    """Read the adapter that another one adds to: from the same folder, or the one that ships."""
    assert info.onto is not None
    name = check_name(f"{info.name}.json: adapter", info.onto.get("adapter"))
    beside = folder / f"{name}.safetensors"
    below = read_adapter(subject, beside if beside.is_file() else name)
    if below.info.sha256 != (wanted := str(info.onto.get("sha256"))):
        raise BkdError(
            f"adapter {info.name!r} was made on another {below.info.name!r} (sha256 "
            f"{wanted[:12]}..., here {below.info.sha256[:12]}...); inject it again"
        )
    return below


def _stacked(below: Adapter, above: dict[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """Return one set of low-rank factors that is the sum of two, for the scale of the second."""
    tensors = dict(above)
    for key, tensor in below.tensors.items():
        is_read = key.endswith(".A")
        lower = tensor if is_read else tensor * (below.info.scale / scale)
        tensors[key] = torch.cat([lower, above[key]], dim=0 if is_read else 1) if key in above else lower
    return tensors


def write_adapter(tensors: dict[str, torch.Tensor], path: Path, **described: Any) -> AdapterInfo:
    """Write the weights and their description beside each other, weights first.

    Parameters
    ----------
    tensors : dict of str to Tensor
        ``layers.{l}.{projection}.{A|B}``; stored as float16.
    path : Path
        The ``.safetensors`` file; the JSON gets the same stem.
    **described
        The fields of :class:`AdapterInfo` except `name` and `sha256`.
    """
    with written_beside(path) as beside:
        halves = {key: value.detach().to("cpu", torch.float16).contiguous() for key, value in tensors.items()}
        save_file(halves, beside, metadata={"format": "pt"})
        sha256 = sha256_of(beside)
    info = AdapterInfo(name=path.stem, sha256=sha256, **described)
    with written_beside(path.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(vars(info), indent=1) + "\n", encoding="utf-8")
    return info


def merge_adapter(model: torch.nn.Module, adapter: Adapter) -> None:
    """Add the low-rank updates of an adapter to the model's weights, in place.

    Projections that the adapter does not name stay as they are.

    Raises
    ------
    BkdError
        If half of an update is missing, or it does not fit the model.
    """
    inside: Any = model.model
    layers = inside.layers
    known = {f"layers.{layer}.{name}": (layer, name) for layer in range(len(layers)) for name in PROJECTIONS}
    for key in dict.fromkeys(name.rpartition(".")[0] for name in adapter.tensors):
        try:
            layer, name = known[key]
            update = adapter.tensors[f"{key}.B"].float() @ adapter.tensors[f"{key}.A"].float()
        except (KeyError, RuntimeError) as error:
            raise BkdError(f"adapter {adapter.info.name!r} has no usable update for {key}") from error
        weight = layers[layer].get_submodule(name).weight
        if update.shape != weight.shape:
            raise BkdError(
                f"adapter {adapter.info.name!r}: {key} has shape {list(update.shape)}, "
                f"the model has {list(weight.shape)}"
            )
        with torch.no_grad():
            weight.add_(update.to(weight) * adapter.info.scale)
