"""What a probe measured: accuracy per layer, the controls, and the difference to the clean model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.html import html_table
from bkdwidgets.core.statistics import Estimate, wilson

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class LayerAccuracy:
    """How often the probe of each layer is right on the test part.

    Attributes
    ----------
    correct : Bool[Tensor, "layer prompt version"]
        Whether each state is classified rightly. Version 0 is the clean prompt, version 1 the changed one.
    """

    correct: Bool[Tensor, "layer prompt version"]

    @property
    def value(self) -> Float[Tensor, " layer"]:
        """Share of states classified rightly, 0 to 1, float64; chance is 0.5."""
        return self.correct.double().mean((1, 2))

    @property
    def rates(self) -> tuple[Estimate, ...]:
        """The same with a 95 % Wilson interval per layer; n counts states, two per prompt.

        The interval takes the states for independent. Where a probe gets both versions of a prompt wrong
        together, it is too narrow; the bootstrap of the difference draws whole prompts and is not.
        """
        hits = self.correct.sum((1, 2)).tolist()
        return tuple(wilson(count, self.correct[0].numel()) for count in hits)

    def to_json(self) -> dict[str, Any]:
        """Return value and interval of every layer as plain lists."""
        rates = self.rates
        return {
            "n": rates[0].n,
            "value": [round(rate.value, 6) for rate in rates],
            "low": [round(rate.low, 6) for rate in rates],
            "high": [round(rate.high, 6) for rate in rates],
        }

    def __repr__(self) -> str:
        """Give the mean over layers."""
        return f"LayerAccuracy({len(self.correct)} layers, mean {float(self.value.mean()):.3f})"


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Triggered against clean, layer by layer, with the controls.

    Layer l is the state that enters block l; layer n_layers is what the last block leaves.

    Attributes
    ----------
    accuracy : LayerAccuracy
        Of the probed subject, on the test part.
    control : LayerAccuracy
        The same on the un-backdoored model, with probes of its own.
    difference, difference_low, difference_high : Float[Tensor, "layer"]
        Accuracy minus the control's, with a 95 % interval from a paired bootstrap over test prompts. Where
        no test prompt differs, there is nothing to resample and the interval shrinks to zero width; with n
        test prompts, a true difference of up to about 3 / n can still hide there (rule of three).
    shuffled : LayerAccuracy
        The same procedure with shuffled labels, in all three parts.
    unrelated : LayerAccuracy
        The subject's probes on the test prompts, clean against lengthened by `unrelated_prefix`. 0.5: they
        see no trigger in it. 1.0: they call any lengthened prompt triggered.
    other : LayerAccuracy or None
        The subject's probes on another subject's residual stream, clean against its own attack's trigger.
    ilca : Float[Tensor, "layer layer"]
        Inter-layer classification accuracy [trained on, tested on] on the test part.
    control_ilca : Float[Tensor, "layer layer"]
        The same on the un-backdoored model.
    kind : {"mlp", "svm"}
        Kind of classifier.
    subject, adapter, attack : str
        What was probed.
    control_adapter : str
        ``"clean"``, or the name of the clean twin that served as control.
    other_name : str or None
        What `other` was measured on.
    unrelated_prefix : str
        The text in front.
    n_train, n_validation, n_test : int
        Prompts in each part; each prompt gives two states.
    seed : int
        Seed of the split, the probes and the draws.
    seconds : float
        Time taken.
    n_forward_tokens : int
        Tokens pushed through a block, the unit that costs are compared in.
    """

    accuracy: LayerAccuracy
    control: LayerAccuracy
    difference: Float[Tensor, " layer"]
    difference_low: Float[Tensor, " layer"]
    difference_high: Float[Tensor, " layer"]
    shuffled: LayerAccuracy
    unrelated: LayerAccuracy
    other: LayerAccuracy | None
    ilca: Float[Tensor, "layer layer"]
    control_ilca: Float[Tensor, "layer layer"]
    kind: str
    subject: str
    adapter: str
    attack: str
    control_adapter: str
    other_name: str | None
    unrelated_prefix: str
    n_train: int
    n_validation: int
    n_test: int
    seed: int
    seconds: float
    n_forward_tokens: int

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single states as plain values."""
        return {
            "subject": self.subject, "adapter": self.adapter, "attack": self.attack, "kind": self.kind,
            "control_adapter": self.control_adapter,
            "n_train": self.n_train, "n_validation": self.n_validation, "n_test": self.n_test,
            "seed": self.seed, "unrelated_prefix": self.unrelated_prefix, "other_name": self.other_name,
            "accuracy": self.accuracy.to_json(), "control": self.control.to_json(),
            "shuffled": self.shuffled.to_json(), "unrelated": self.unrelated.to_json(),
            "other": self.other.to_json() if self.other else None,
            "difference": _rounded(self.difference), "difference_low": _rounded(self.difference_low),
            "difference_high": _rounded(self.difference_high),
            "ilca": _rounded(self.ilca), "control_ilca": _rounded(self.control_ilca),
            "seconds": round(self.seconds, 2), "n_forward_tokens": self.n_forward_tokens,
        }  # fmt: skip

    def __repr__(self) -> str:
        """Give the two numbers that belong together, as means over layers: nothing is picked."""
        mine, clean = float(self.accuracy.value.mean()), float(self.control.value.mean())
        return (
            f"ProbeResult({self.kind}, {self.subject} + {self.adapter}, {self.n_test} test prompts: "
            f"mean accuracy {mine:.3f}, clean model {clean:.3f})"
        )

    def _repr_html_(self) -> str:
        differences = zip(self.difference, self.difference_low, self.difference_high, strict=True)
        columns = {
            "this subject": _cells(self.accuracy),
            "clean model": _cells(self.control),
            "difference": [f"{value:+.3f} ({low:+.3f} to {high:+.3f})" for value, low, high in differences],
            "shuffled labels": _cells(self.shuffled),
            "unrelated prefix": _cells(self.unrelated),
        }
        if self.other:
            columns[f"on {self.other_name}"] = _cells(self.other)
        rows = enumerate(zip(*columns.values(), strict=True))
        title = (
            f"{self.kind} probe, {self.subject} + {self.adapter}, {self.attack}, {self.n_test} test prompts"
        )
        return html_table(
            f"{title}: accuracy with 95 % interval",
            ("layer", *columns),
            ((layer, *row) for layer, row in rows),
        )


def _rounded(values: Tensor) -> Any:
    return values.numpy().round(6).tolist()


def _cells(accuracy: LayerAccuracy) -> list[str]:
    return [f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})" for rate in accuracy.rates]
