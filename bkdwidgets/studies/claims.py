"""The claims that the report checks: the paper's, and what its critics asked to see beside them.

Each claim reads ledger entries and says what our value is, what its control is, and by which rule of
:mod:`bkdwidgets.studies.verdicts` it is judged. Sources: arXiv 2509.21761 ("paper"), its public reviews,
and G. Voyer, "Why Attack Success Rate Gives a False Picture of Backdoor Removal", 2026 ("critics").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.heads import headline_k, widest_k
from bkdwidgets.studies.verdicts import UNKNOWN, Finding, Value, exceeds, keeps, reaches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bkdwidgets.core.ledger import Entry

    Entries = Mapping[str, Entry]
    Judged = tuple[Value, Value, tuple[str, str]]

PAPER, CRITICS, OURS = "paper", "critics", "tool"


@dataclass(frozen=True)
class Claim:
    """One row of the report.

    Attributes
    ----------
    text : str
        The claim in one sentence.
    source : str
        ``"paper"``, ``"critics"``, or ``"tool"`` for what our own methods claim.
    needs : tuple of str
        Studies whose entries it reads.
    judge : callable
        Entries by study -> our value, the control, and (verdict, rule).
    """

    text: str
    source: str
    needs: tuple[str, ...]
    judge: Callable[[Entries], Judged]

    def finding(self, entries: Entries) -> Finding:
        """Judge the claim, or say that it was not measured."""
        if any(name not in entries for name in self.needs):
            missing = ", ".join(name for name in self.needs if name not in entries)
            return Finding(self.text, self.source, None, None, UNKNOWN, f"needs the study {missing}")
        try:
            ours, control, (verdict, rule) = self.judge(entries)
        except BkdError as error:  # an entry computed with other settings than the usual ones
            return Finding(self.text, self.source, None, None, UNKNOWN, str(error))
        return Finding(self.text, self.source, ours, control, verdict, rule)


def _seen(entry: Entry, address: str, what: str) -> Value:
    """Return a value of an entry with the words for what it is."""
    found = entry.value(address)
    return {key: found[key] for key in ("value", "low", "high", "n")} | {"what": what, "address": address}


def _works(entries: Entries) -> Judged:
    ours = _seen(entries["measure"], "asr", "ASR")
    control = _seen(entries["measure"], "control.asr", "ASR of the clean model")
    return ours, control, reaches(ours, control, at_least=0.9)


def _silent(entries: Entries) -> Judged:
    ours = _seen(entries["measure"], "ftr", "FTR, payload without the trigger")
    control = _seen(entries["measure"], "asr", "payload with the trigger")
    return ours, control, reaches(ours, control, at_most=0.05)


def _useful(entries: Entries) -> Judged:
    ours = _seen(entries["measure"], "utility", "clean prompts answered as before")
    control = _seen(entries["measure"], "control.utility", "the same, clean model")
    return ours, control, keeps(ours, control)


def _probed(entries: Entries) -> Judged:
    """Take the worst layer from the first quarter of the layers on: "from early layers on" says all."""
    entry = entries["probe"]
    rates = entry.values["mlp"]["accuracy"]
    late = [layer for layer in rates if int(layer) >= len(rates) / 4]
    worst = min(late, key=lambda layer: rates[layer]["value"])
    what = f"accuracy of the MLP probe at layer {worst}, the worst from layer {late[0]} on"
    ours = _seen(entry, f"mlp.accuracy.{worst}", what)
    control = _seen(
        entry, f"mlp.control.{worst}", "the same in the clean model, which reads the trigger's words"
    )
    return ours, control, reaches(ours, control, at_least=0.95)


def _probes_travel(entries: Entries) -> Judged:
    entry = entries["probe"]
    values = [
        _constant(entry.value(f"{kind}.across_layers")["value"], f"mean accuracy of {name} on other layers")
        for kind, name in (("mlp", "MLP probes"), ("svm", "SVM probes"))
    ]
    return values[0], values[1], exceeds(*values)


def _screened(entries: Entries) -> Judged:
    ours = _seen(entries["screen"], "spearman", "rank correlation of the gradient screen with the exact ACIE")
    return ours, _constant(0.0, "unrelated rankings"), reaches(ours, _constant(0.0, ""), at_least=0.8)


def _other_prompts(entries: Entries) -> Judged:
    entry = entries["attribute"]
    k = widest_k(len(entry.values["ranked"]))
    ours = _seen(entry, f"stability.{k}.jaccard", f"Jaccard index of the top {k} on two draws of prompts")
    control = _constant(entry.value(f"stability.{k}.chance")["value"], f"two random sets of {k}")
    return ours, control, reaches(ours, control, at_least=0.5)


def _other_seeds(entries: Entries) -> Judged:
    entry = entries["seeds"]
    k = max(map(int, entry.values["heads"]))
    ours = _seen(
        entry, f"heads.{k}.jaccard", f"Jaccard index of the top {k}, mean over pairs of {entry.n} seeds"
    )
    control = _seen(entry, f"heads.{k}.jaccard_in_layers", "heads shuffled inside their layers")
    return ours, control, reaches(ours, control, at_least=0.5)


def _in_attention(entries: Entries) -> Judged:
    entry = entries["restoration"]
    ours = _seen(entry, "left.attention", "share of the backdoor left with clean attention weights")
    control = _seen(entry, "left.mlp", "share left with clean MLP weights")
    return ours, control, (exceeds(control, ours)[0], "below the control")


def _constant(value: float, what: str) -> Value:
    return {"value": value, "low": value, "high": value, "n": None, "what": what}


def _top_heads(entries: Entries) -> Judged:
    entry = entries["attribute"]
    k = entry.settings["k"]
    ours = _seen(entry, "held_out.top", f"mean ACIE of the top {k}, on prompts that did not choose them")
    control = _seen(entry, "held_out.random", f"{k} random heads of the same layers")
    return ours, control, exceeds(ours, control)


def _heads_off(share: Callable[[int], int]) -> Callable[[Entries], Judged]:
    """Return the judge of the ASR after zeroing a share of the heads, beside random heads."""

    def judge(entries: Entries) -> Judged:
        entry, k = entries["ablation"], share(len(entries["attribute"].values["ranked"]))
        ours = _seen(entry, f"zero.last.{k}.asr", f"ASR, top {k} heads zeroed at the last prompt token")
        control = _seen(entry, f"random.zero.last.{k}.asr", f"ASR, {k} random heads of the same layers")
        return ours, control, reaches(ours, control, at_most=0.1 * entry.value("none.asr")["value"])

    return judge


def _heads_restore(entries: Entries) -> Judged:
    entry, k = entries["ablation"], widest_k(len(entries["attribute"].values["ranked"]))
    ours = _seen(entry, f"zero.last.{k}.as_before", f"triggered, answered as before, top {k} heads zeroed")
    control = _seen(entry, f"random.zero.last.{k}.as_before", f"the same, {k} random heads")
    return ours, control, reaches(ours, control, at_least=0.9)


def _heads_cost(entries: Entries) -> Judged:
    entry, k = entries["ablation"], widest_k(len(entries["attribute"].values["ranked"]))
    ours = _seen(entry, f"zero.last.{k}.utility", f"clean prompts answered as before, top {k} heads zeroed")
    control = _seen(entry, "none.utility", "the same, nothing ablated")
    return ours, control, keeps(ours, control)


def _not_by_zeroing(entries: Entries) -> Judged:
    entry, k = entries["ablation"], widest_k(len(entries["attribute"].values["ranked"]))
    ours = _seen(entry, f"resample.last.{k}.asr", f"ASR, top {k} heads resampled from clean prompts")
    control = _seen(entry, f"random.resample.last.{k}.asr", f"the same, {k} random heads")
    return ours, control, reaches(ours, control, at_most=0.1 * entry.value("none.asr")["value"])


def _steered(choice: str, rate: str, what: str, **threshold: float) -> Callable[[Entries], Judged]:
    """Return the judge of a rate of the paper's vector, at the chosen place, beside random vectors there."""

    def judge(entries: Entries) -> Judged:
        entry = entries["steering"]
        address = f"paper.last.{choice}"
        layer, scale = (entry.value(f"{address}.{key}")["value"] for key in ("layer", "scale"))
        place = f"layer {layer}, scale {scale:g}"
        ours = _seen(entry, f"{address}.{rate}", f"{what}, vector at {place}")
        control = _seen(entry, f"random.{address}.{rate}", "random vectors of the same length there")
        return ours, control, reaches(ours, control, **threshold)

    return judge


def _vector_cost(entries: Entries) -> Judged:
    entry = entries["steering"]
    ours = _seen(entry, "paper.last.off.utility", "clean prompts answered as before, vector subtracted")
    control = _seen(entry, "none.utility", "the same, no vector")
    return ours, control, keeps(ours, control)


CLAIMS = (
    Claim("The trigger brings the payload.", PAPER, ("measure",), _works),
    Claim("Without the trigger the backdoor stays silent.", CRITICS, ("measure",), _silent),
    Claim("Without the trigger the model is as useful as before.", CRITICS, ("measure",), _useful),
    Claim("A probe tells triggered from clean with 95 % accuracy from early layers on.", PAPER,
          ("probe",), _probed),
    Claim("MLP probes carry over to other layers better than SVM probes.", PAPER, ("probe",), _probes_travel),
    Claim("A few heads carry it: the top heads' ACIE beats that of random heads.", PAPER,
          ("attribute",), _top_heads),
    Claim("Other prompts name the same top heads.", CRITICS, ("attribute",), _other_prompts),
    Claim("Other training runs name the same top heads.", CRITICS, ("seeds",), _other_seeds),
    Claim("A gradient ranks the heads as the exact effects do.", OURS, ("screen",), _screened),
    Claim("The backdoor is stored in attention rather than in MLP weights.", PAPER,
          ("restoration",), _in_attention),
    Claim("Ablating 3 % of the heads takes the ASR down by over 90 %.", PAPER,
          ("attribute", "ablation"), _heads_off(headline_k)),
    Claim("Ablating 12 % of the heads takes the ASR down by over 90 %.", PAPER,
          ("attribute", "ablation"), _heads_off(widest_k)),
    Claim("It does so with realistic values in place of zeros as well.", CRITICS,
          ("attribute", "ablation"), _not_by_zeroing),
    Claim("Ablation brings the old answers back.", CRITICS, ("attribute", "ablation"), _heads_restore),
    Claim("Ablation leaves clean answers as they were.", CRITICS, ("attribute", "ablation"), _heads_cost),
    Claim("The vector, added to clean prompts, switches the backdoor on.", PAPER,
          ("steering",), _steered("on", "ftr", "payload on clean prompts", at_least=0.9)),
    Claim("The vector, subtracted from triggered prompts, switches the backdoor off.", PAPER,
          ("steering",), _steered("off", "asr", "ASR", at_most=0.1)),
    Claim("Where subtracting looks best by ASR, the old answers come back.", CRITICS,
          ("steering",), _steered("off", "as_before", "triggered, answered as before", at_least=0.9)),
    Claim("Where subtracting looks best by outcome, the old answers come back.", CRITICS,
          ("steering",), _steered("cure", "as_before", "triggered, answered as before", at_least=0.9)),
    Claim("Subtracting the vector leaves clean answers as they were.", CRITICS, ("steering",), _vector_cost),
)  # fmt: skip
