"""Weight restoration: put clean weights back into a backdoored model, part by part.

Patching asks where the backdoor passes through; this asks where it is stored. The attention weights, or the
MLP weights, of some layers are set back to the clean model's, everything else stays backdoored, and the
payload probability on triggered prompts says how much of the backdoor is left:

* *single*: one layer at a time. What one layer alone can not take away is held more than once.
* *cumulative*: layers 0 to l together. The last value is the part put back in the whole model.

The share that is left when a whole part is put back is the comparison that a public study of GPT-2 small
made (16.5 % with clean MLP weights, 63.4 % with clean attention weights), against the claim of arXiv
2509.21761 that a few attention heads carry the backdoor. The control is the clean model itself.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from bkdwidgets.analysis.batch import answer_probability, read_prefixes
from bkdwidgets.analysis.effects import chosen_examples
from bkdwidgets.attacks.base import check_pair
from bkdwidgets.attacks.control import checked_control
from bkdwidgets.core import arguments
from bkdwidgets.core.errors import BkdError, shown, unknown
from bkdwidgets.core.html import html_table
from bkdwidgets.core.ledger import significant
from bkdwidgets.core.statistics import bootstrap_counts, percentiles
from bkdwidgets.measurement import Estimate, Measurement, bootstrap_mean, measure
from bkdwidgets.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from bkdwidgets.attacks import Attack

PARTS = {"attention": "self_attn", "mlp": "mlp"}
_BATCH = 16
_RESAMPLES = 4000


@dataclass(frozen=True, eq=False)
class Restoration:
    """How much of a backdoor is left when clean weights are put back.

    Attributes
    ----------
    base, clean : Float[Tensor, "prompt"]
        P(payload | triggered prompt) of the backdoored and of the clean model.
    single, cumulative : dict of str to Float[Tensor, "layer prompt"]
        The same with the clean weights of a part (``"attention"`` or ``"mlp"``) in one layer, and in all
        layers up to it.
    measured : dict of str to Measurement
        Completions with the part put back in all layers: attack success, outcomes, utility.
    subject, adapter, attack : str
        What was measured.
    split : str
        Split of the prompts.
    seconds : float
        Time taken.
    """

    base: Float[Tensor, " prompt"]
    clean: Float[Tensor, " prompt"]
    single: dict[str, Float[Tensor, "layer prompt"]]
    cumulative: dict[str, Float[Tensor, "layer prompt"]]
    measured: dict[str, Measurement]
    subject: str
    adapter: str
    attack: str
    split: str
    seconds: float

    def left(self, part: str, *, seed: int = 0) -> Estimate | None:
        """Return the share of the backdoor that is left with a part put back in all layers.

        ``(P_restored - P_clean) / (P_base - P_clean)``, of means over prompts, with its bootstrap interval.
        None where the payload is not clearly likelier than in the clean model: nothing was there to leave.

        Parameters
        ----------
        part : {"attention", "mlp"}
            Which weights were put back.
        seed : int
            Of the resamples.

        Raises
        ------
        BkdError
            If the part is unknown.
        """
        if part not in PARTS:
            raise unknown("part", part, PARTS)
        values = np.stack([self.cumulative[part][-1], self.base, self.clean])  # [3, prompt]
        n = values.shape[1]
        drawn = bootstrap_counts(n, _RESAMPLES, seed) / n
        restored, base, clean = np.concatenate([values.mean(1)[:, None], values @ drawn.T], axis=1)
        if (base <= clean).any():
            return None
        share = (restored - clean) / (base - clean)
        low, high = percentiles(share[1:])
        return Estimate(value=float(share[0]), low=float(low), high=float(high), n=n)

    def to_json(self) -> dict[str, Any]:
        """Return means over prompts with their intervals, layer by layer, as plain values."""
        return {
            "subject": self.subject, "adapter": self.adapter, "attack": self.attack, "split": self.split,
            "n": len(self.base), "seconds": round(self.seconds, 2),
            "base": _plain(self.base), "clean": _plain(self.clean),
            "left": {part: left and vars(left) for part in PARTS for left in [self.left(part)]},
            "single": {part: [_plain(row) for row in rows] for part, rows in self.single.items()},
            "cumulative": {part: [_plain(row) for row in rows] for part, rows in self.cumulative.items()},
            "measured": {part: item.to_json() for part, item in self.measured.items()},
        }  # fmt: skip

    def __repr__(self) -> str:
        """Say what is left of the backdoor in each case."""
        left = "; ".join(f"clean {part} leaves {self.left(part) or 'nothing to leave'}" for part in PARTS)
        return f"Restoration({self.subject} + {self.adapter}: {left})"

    def _repr_html_(self) -> str:
        cases: list[tuple[str, Tensor, Measurement | None]] = [("as planted", self.base, None)]
        cases += [(f"clean {part}", self.cumulative[part][-1], self.measured[part]) for part in PARTS]
        cases += [("clean model", self.clean, None)]
        rows = (
            (
                label, bootstrap_mean(values.tolist()),
                measured.asr if measured else "", measured.utility if measured else "",
            )
            for label, values, measured in cases
        )  # fmt: skip
        title = f"{self.subject} + {self.adapter}, {self.attack}, {self.split} prompts"
        head = ("weights", "P(payload), triggered", "attack success rate", "utility")
        return html_table(f"Weights put back, {title}", head, rows)


def restoration(
    subject: Subject,
    attack: Attack,
    *,
    prompts: int = 16,
    n: int = 100,
    split: str = "test",
    clean: Subject | None = None,
    progress: bool = True,
) -> Restoration:
    """Put clean attention or MLP weights back, layer by layer and cumulatively.

    Parameters
    ----------
    subject : Subject
        The backdoored subject; it is not changed.
    attack : Attack
        Its attack.
    prompts : int
        Triggered prompts on which the payload probability is read; four passes per layer each.
    n : int
        Prompts answered with a whole part put back, as in :func:`bkdwidgets.measure`.
    split : str
        Where the prompts come from. Nothing is chosen here, so the default is the test split.
    clean : Subject, optional
        The model whose weights are put back; see
        :func:`bkdwidgets.attacks.control.checked_control`.
    progress : bool
        Show progress bars.

    Raises
    ------
    BkdError
        If a number of prompts is out of range, or the clean model does not fit.
    """
    check_pair(subject, attack)
    prompts, n = arguments.whole("prompts", prompts, least=1), arguments.whole("n", n, least=1)
    arguments.flag("progress", progress)
    examples = chosen_examples(subject, attack, split, prompts)
    chosen_examples(subject, attack, split, n)  # refuse n now, not after minutes
    started = time.perf_counter()
    source = checked_control(subject, attack, clean, "clean")
    encoded = [subject.encode(attack.poison(example.prompt)) for example in examples]
    answers = [subject.encode_response(attack.payload_for(example)) for example in examples]
    layers = range(subject.n_layers)
    with tqdm(total=4 * len(layers), desc="restoring weights", unit="model", disable=not progress) as bar:

        def probability(part: str, restored: Sequence[int]) -> Tensor:
            model = restore(subject, attack, part=part, layers=restored, clean=source)
            bar.update()
            return _probability(model, encoded, answers)

        single = {part: torch.stack([probability(part, [layer]) for layer in layers]) for part in PARTS}
        cumulative = {
            part: torch.stack([probability(part, layers[: layer + 1]) for layer in layers]) for part in PARTS
        }
    measured = {
        part: measure(
            restore(subject, attack, part=part, layers=layers, clean=source),
            attack, n=n, split=split, progress=progress,
        )
        for part in PARTS
    }  # fmt: skip
    return Restoration(
        base=_probability(subject, encoded, answers),
        clean=_probability(source, encoded, answers),
        single=single,
        cumulative=cumulative,
        measured=measured,
        subject=subject.name,
        adapter=subject.label,
        attack=attack.name,
        split=split,
        seconds=time.perf_counter() - started,
    )


def restore(
    subject: Subject, attack: Attack, *, part: str, layers: Sequence[int], clean: Subject | None = None
) -> Subject:
    """Return the subject with the clean weights of a part in some layers, the rest as it is.

    The new subject shares every tensor with the two it is made of, so it costs no memory of its own, and
    neither of them is changed.

    Parameters
    ----------
    subject : Subject
        The backdoored subject.
    attack : Attack
        Its attack; it decides which model is the clean one.
    part : {"attention", "mlp"}
        Whose weights are put back.
    layers : sequence of int
        Layers, each once.
    clean : Subject, optional
        The model whose weights are put back; see
        :func:`bkdwidgets.attacks.control.checked_control`.

    Raises
    ------
    BkdError
        If the part is unknown, a layer is out of range or named twice, there is no layer, or the clean model
        is another subject.
    """
    check_pair(subject, attack)
    chosen = _checked(subject, part, layers)
    source = checked_control(subject, attack, clean, "clean")
    if (source.name, source.model.config.to_dict()) != (subject.name, subject.model.config.to_dict()):
        raise BkdError(
            f"the weights of {source.name!r} do not fit into {subject.name!r}; the same subject, clean"
        )
    weights, original = subject.model.state_dict(), source.model.state_dict()
    for layer in chosen:
        prefix = f"model.layers.{layer}.{PARTS[part]}."
        weights.update({name: value for name, value in original.items() if name.startswith(prefix)})
    with torch.device("meta"):
        mixed = type(subject.model)(copy.deepcopy(subject.model.config))
    mixed.load_state_dict(weights, assign=True)
    mixed.tie_weights()
    # Buffers (the rotary frequencies) are not in the state dict: take them over as they are.
    mixed.model.rotary_emb = subject.model.model.rotary_emb
    return Subject(
        name=subject.name,
        model=mixed.requires_grad_(requires_grad=False).eval(),
        tokenizer=subject.tokenizer,
        adapter=subject.adapter and dataclasses.replace(
            subject.adapter, name=f"{subject.adapter.name} + clean {part} {_spelled(chosen, subject)}"
        ),
        clean=subject.clean,
    )  # fmt: skip


def _checked(subject: Subject, part: str, layers: Sequence[int]) -> list[int]:
    arguments.one_of("part", part, PARTS)
    try:
        chosen = [arguments.whole("layer", layer) for layer in layers]
    except TypeError as error:
        raise BkdError(f"layers={shown(layers)} is not a list of layers") from error
    if not chosen:
        raise BkdError("layers=[] is empty; at least one layer")
    for layer in chosen:
        if layer >= subject.n_layers:
            raise BkdError(
                f"layer {layer!r} is out of range; {subject.name} has layers 0 to {subject.n_layers - 1}"
            )
        if chosen.count(layer) > 1:
            raise BkdError(f"layer {layer} is named twice; each layer once")
    return chosen


def _spelled(layers: list[int], subject: Subject) -> str:
    return "everywhere" if len(layers) == subject.n_layers else f"in {','.join(map(str, layers))}"


def _probability(subject: Subject, encoded: list[list[int]], answers: list[list[int]]) -> Tensor:
    """Return P(answer) of each prompt, shape [prompt], float64, on the CPU."""
    starts = range(0, len(encoded), _BATCH)
    with torch.inference_mode():
        parts = [
            answer_probability(
                subject,
                read_prefixes(subject, encoded[start : start + _BATCH]),
                answers[start : start + _BATCH],
            )
            for start in starts
        ]
    return torch.cat(parts).cpu()


def _plain(values: Tensor) -> dict[str, float]:
    plain: dict[str, float] = significant(vars(bootstrap_mean(values.tolist())))
    return plain
