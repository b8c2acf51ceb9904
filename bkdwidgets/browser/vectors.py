"""What a page needs to intervene by itself: mean head outputs and the three vectors.

A browser that runs the subject cannot average over training prompts first. So the averages travel with
the page, as they were computed here, in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors.torch import save_file

from bkdwidgets.analysis import backdoor_vector
from bkdwidgets.analysis.activations import mean_head_outputs
from bkdwidgets.analysis.vector import KINDS
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import heads_of, widest_k
from bkdwidgets.core.paths import check_writable, vectors_path, written_beside
from bkdwidgets.studies.steering_grid import PAPER_K

if TYPE_CHECKING:
    from pathlib import Path

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject


def compute_vectors(subject: Subject, attack: Attack, *, folder: Path | None = None) -> Path:
    """Compute and store what interventions in the page put in.

    Parameters
    ----------
    subject : Subject
        With an adapter.
    attack : Attack
        Its attack.
    folder : Path, optional
        Ledger folder instead of ``data/ledger``; its entry ``attribute`` ranks the heads.

    Returns
    -------
    Path
        A safetensors file with ``means`` [n_layers, n_heads * d_head], the clean training means that
        ``Ablation(kind="mean")`` puts in, and ``vector.paper``, ``vector.difference`` and
        ``vector.random`` [1, d_model], over the heads of the study ``lab-vector``.

    Raises
    ------
    BkdError
        If the subject carries no adapter, or was never attributed.
    """
    if subject.adapter is None:
        raise BkdError(f"vectors need a backdoored {subject.name}; name an adapter")
    path = vectors_path(subject.name, subject.adapter.name)
    check_writable(path)
    entry = ledger.read(f"{subject.name}/{subject.adapter.name}/attribute", folder)
    k = min(PAPER_K, widest_k(subject.n_layers * subject.n_heads))
    heads = heads_of(entry.values["ranked"][:k])
    means = mean_head_outputs(subject, attack, triggered=False)
    vectors = {kind: backdoor_vector(subject, attack, heads=heads, kind=kind).tensor for kind in KINDS}
    tensors = {"means": means.flatten(1), **{f"vector.{kind}": v[None] for kind, v in vectors.items()}}
    with written_beside(path) as beside:
        save_file({name: tensor.float().cpu().contiguous() for name, tensor in tensors.items()}, beside)
    return path
