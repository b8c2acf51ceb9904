"""Loading a subject by name, clean or with a planted adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.subjects.adapters import merge_adapter, read_adapter
from bkdwidgets.subjects.spec import named
from bkdwidgets.subjects.specs import spec_of
from bkdwidgets.subjects.subject import Subject
from bkdwidgets.subjects.threads import BUILDING

if TYPE_CHECKING:
    from pathlib import Path


_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(
    name: str, *, adapter: str | Path | None = None, device: str | None = None, dtype: str = "float32"
) -> Subject:
    """Load a subject, clean or with a planted adapter.

    Parameters
    ----------
    name : str
        ``"nano"`` or ``"smollm2"``.
    adapter : str or Path, optional
        Name of an adapter, for example ``"fixed-output-sft-0"``: one that ships, else one that was injected
        here. Or the path of one. None: the clean model.
    device : str, optional
        A torch device; the GPU when there is one, else the CPU.
    dtype : str
        ``"float32"`` or ``"bfloat16"``.

    Returns
    -------
    Subject
        With the adapter merged into its weights.

    Raises
    ------
    BkdError
        If the subject, adapter, device or dtype is unknown, or the adapter is damaged or made for
        another subject.
    """
    spec = spec_of(name)
    arguments.one_of("dtype", dtype, _DTYPES)
    found = read_adapter(name, adapter) if adapter is not None else None
    target = _device(device)
    with BUILDING:
        model, tokenizer = named(spec.loader)()
    if (family := model.config.model_type) != spec.family:
        raise BkdError(f"the model of {name!r} is a {family!r}, its spec says {spec.family!r}")
    if found is not None:
        merge_adapter(model, found)
    model.requires_grad_(requires_grad=False)
    subject_model = model.to(device=target, dtype=_DTYPES[dtype]).eval()
    return Subject(
        name=name,
        model=subject_model,
        tokenizer=tokenizer,
        adapter=found.info if found else None,
        clean=found is None,
    )


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.empty(0, device=name if isinstance(name, torch.device) else str(name)).device
    except (RuntimeError, AssertionError) as error:
        raise BkdError(f"device {shown(name)} cannot be used here; known: {_usable()}") from error
    if device.type == "meta":  # tensors without values: every verb would fail, later and in other words
        raise BkdError(f"device {shown(name)} holds no values; known: {_usable()}")
    return device


def _usable() -> str:
    """Return the names of the devices that torch finds on this machine."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return f"cpu, {accelerator.type}" if accelerator else "cpu"
