"""Bad arguments of every public call: one line that names the parameter or the value, and what is allowed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

import bkdwidgets as bkd
from bkdwidgets.attacks import Trigger
from bkdwidgets.cli import main
from bkdwidgets.core import arguments
from bkdwidgets.figures import outcome_bars
from bkdwidgets.injection import SftRecipe, mixture
from bkdwidgets.studies import compare_methods, sweep
from bkdwidgets.studies.registry import study
from bkdwidgets.subjects.nano import train

ENTRY = "nano/fixed-output-sft-0"
HALF = "Hi \ud83d"


@pytest.fixture(scope="module")
def effects(poisoned_nano, attack):
    return bkd.attribute(poisoned_nano, attack, prompts=2, n_means=4, progress=False)


class Given:
    """What the rows below call with."""

    def __init__(self, subject, attack, effects):
        self.subject, self.attack, self.effects = subject, attack, effects

    def __getattr__(self, name):
        """Call a verb that takes a subject and an attack."""
        return lambda **options: getattr(bkd, name)(self.subject, self.attack, **options)


# Numbers that are none: of the wrong kind, sign or size, for any parameter that counts something.
COUNTS = [2.5, -1, 0, True, "2", None, math.nan, [2], 10**9]
ROWS = {
    "generate a text": lambda g: g.subject.generate("Hello"),
    "generate bytes": lambda g: g.subject.generate(b"Hello"),
    "generate nothing": lambda g: g.subject.generate(None),
    "generate a number": lambda g: g.subject.generate([3]),
    "generate an empty prompt": lambda g: g.subject.generate(["Hi", " \n"]),
    "generate unseen letters": lambda g: g.subject.generate(["\u200b\u2060\ufeff"]),
    "generate half a pair": lambda g: g.subject.generate([HALF]),
    "generate no tokens": lambda g: g.subject.generate(["Hi"], max_new_tokens=0),
    "generate half a token": lambda g: g.subject.generate(["Hi"], max_new_tokens=1.5),
    "generate, one intervention": lambda g: g.subject.generate(["Hi"], interventions=bkd.Ablation([(0, 0)])),
    "generate, a head": lambda g: g.subject.generate(["Hi"], interventions=[(0, 0)]),
    "encode half a pair": lambda g: g.subject.encode(HALF),
    "encode a number": lambda g: g.subject.encode(3),
    "encode half a pair as an answer": lambda g: g.subject.encode_response(HALF),
    "poison half a pair": lambda g: g.attack.poison(HALF),
    "poison unseen letters": lambda g: g.attack.poison("\u200b"),
    "poison a list": lambda g: g.attack.poison(["Hi"]),
    "examples of a number": lambda g: g.attack.examples(3, "test"),
    "examples of a list": lambda g: g.attack.examples(g.subject, ["test"]),
    "load a number": lambda _: bkd.load(3),
    "load a list": lambda _: bkd.load(["nano"]),
    "load an array": lambda _: bkd.load(np.zeros((3, 3))),
    "load, adapter a number": lambda _: bkd.load("nano", adapter=3),
    "load, adapter of an array": lambda _: bkd.load("nano", adapter=np.zeros((3, 3))),
    "load, a torch dtype": lambda _: bkd.load("nano", dtype=torch.bfloat16),
    "load, dtype": lambda _: bkd.load("nano", dtype="float16"),
    "load, device": lambda _: bkd.load("nano", device="meta"),
    "attack a list": lambda _: bkd.attack(["fixed-output"]),
    "attack a trigger": lambda _: bkd.attack(Trigger("Hi")),
    "inject by name": lambda g: bkd.inject("nano", g.attack),
    "inject, attack by name": lambda _: bkd.inject(bkd.load("nano"), "fixed-output"),
    "inject, method": lambda g: bkd.inject(bkd.load("nano"), g.attack, method=["sft"]),
    "inject, out": lambda g: bkd.inject(bkd.load("nano"), g.attack, out=3),
    "inject, recipe": lambda g: bkd.inject(bkd.load("nano"), g.attack, recipe={"steps": 2}),
    "inject, mixture": lambda g: bkd.inject(bkd.load("nano"), g.attack, mixture="all"),
    "inject, mixture of prompts": lambda g: bkd.inject(bkd.load("nano"), g.attack, mixture=[("Hi", True)]),
    "inject, a name with a folder": lambda g: bkd.inject(
        bkd.load("nano"), dataclasses.replace(g.attack, name="../../x"), recipe=SftRecipe(steps=1)
    ),
    **{
        f"inject, seed {seed}": lambda g, seed=seed: bkd.inject(bkd.load("nano"), g.attack, seed=seed)
        for seed in (-1, 1.5, "1", True, None, 2**32)
    },
    **{
        f"recipe, {name}={value}": lambda _, name=name, value=value: SftRecipe(**{name: value})
        for name, value in {
            "steps": -1,
            "batch": 0,
            "rank": 1.5,
            "alpha": True,
            "warmup": -1,
            "poison_rate": 1.5,
            "target_share": math.nan,
            "learning_rate": -1e-3,
            "response_tokens": "8",
        }.items()
    },
    "mixture": lambda g: mixture(g.subject, g.attack, clean=1.5, poisoned=1),
    **{
        f"{verb} by name": lambda g, verb=verb: getattr(bkd, verb)("nano", g.attack)
        for verb in ("measure", "attribute", "attribute_mlp", "screen", "probe", "restoration")
    },
    **{
        f"{verb}, attack by name": lambda g, verb=verb: getattr(bkd, verb)(g.subject, "fixed-output")
        for verb in ("measure", "attribute", "attribute_mlp", "screen", "probe", "restoration")
    },
    **{
        f"{verb}, {name}={value!r}": lambda g, verb=verb, name=name, value=value: getattr(g, verb)(
            **{name: value, "progress": False}
        )
        for verb, name in (
            ("measure", "n"),
            ("attribute", "prompts"),
            ("attribute_mlp", "prompts"),
            ("screen", "prompts"),
            ("probe", "n"),
            ("restoration", "prompts"),
            ("restoration", "n"),
        )
        for value in COUNTS
    },
    **{
        f"{verb}, n_means={value!r}": lambda g, verb=verb, value=value: getattr(g, verb)(
            prompts=1, n_means=value, progress=False
        )
        for verb in ("attribute", "attribute_mlp", "screen")
        for value in COUNTS[:-1]  # more than there are: as many as there are
    },
    **{
        f"{verb}, split": lambda g, verb=verb: getattr(g, verb)(split=["test"])
        for verb in ("measure", "attribute", "attribute_mlp", "screen", "restoration")
    },
    **{
        f"{verb}, progress": lambda g, verb=verb: getattr(g, verb)(progress="no")
        for verb in ("measure", "attribute", "attribute_mlp", "screen", "restoration", "probe", "inject")
    },
    "measure, nll": lambda g: g.measure(n=1, nll="no"),
    "measure, one intervention": lambda g: g.measure(n=1, interventions=bkd.Ablation([(0, 0)])),
    "measure, names of interventions": lambda g: g.measure(n=1, interventions="zero"),
    "measure, a head": lambda g: g.measure(n=1, interventions=[bkd.Ablation([(0, 0)]), (0, 0)]),
    "measure, another layer": lambda g: g.measure(n=1, interventions=[bkd.Ablation([(99, 0)])]),
    "probe, kind": lambda g: g.probe(kind=["mlp"]),
    "probe, seed": lambda g: g.probe(n=10, seed=-1),
    "probe, control by name": lambda g: g.probe(n=10, control="nano"),
    "probe, other": lambda g: g.probe(n=10, other=g.subject),
    "probe, other by name": lambda g: g.probe(n=10, other=("nano", g.attack)),
    "restoration, clean by name": lambda g: g.restoration(prompts=1, n=1, clean="nano"),
    "restore, part": lambda g: g.restore(part=["mlp"], layers=[0]),
    "restore, layers": lambda g: g.restore(part="mlp", layers=3),
    "restore, layers as text": lambda g: g.restore(part="mlp", layers="01"),
    "restore, half a layer": lambda g: g.restore(part="mlp", layers=[0.5]),
    "restore, a layer as a truth": lambda g: g.restore(part="mlp", layers=[True]),
    "vector, heads": lambda g: g.backdoor_vector(heads=3),
    "vector, one head": lambda g: g.backdoor_vector(heads=(0, 1)),
    "vector, heads as names": lambda g: g.backdoor_vector(heads=["L0H1"]),
    "vector, kind": lambda g: g.backdoor_vector(heads=[(0, 0)], kind=None),
    "vector, seed": lambda g: g.backdoor_vector(heads=[(0, 0)], kind="random", seed=1.5),
    "vector by name": lambda g: bkd.backdoor_vector("nano", g.attack, heads=[(0, 0)]),
    "Ablation of one head": lambda _: bkd.Ablation((0, 1)),
    "Ablation of half a head": lambda _: bkd.Ablation([(0.5, 1)]),
    "Ablation of a truth": lambda _: bkd.Ablation([(True, 1)]),
    "Ablation of a negative head": lambda _: bkd.Ablation([(0, -1)]),
    "Ablation of a text": lambda _: bkd.Ablation("L0H1"),
    "Ablation, kind": lambda _: bkd.Ablation([(0, 0)], kind=["zero"]),
    "Ablation, where": lambda _: bkd.Ablation([(0, 0)], where=None),
    "Ablation, fill of numpy": lambda _: bkd.Ablation([(0, 0)], kind="mean", fill=np.zeros((8, 8, 16))),
    "Ablation, seed": lambda _: bkd.Ablation([(0, 0)], kind="resample", seed=0.5),
    "Steering with numpy": lambda _: bkd.Steering(np.zeros(128), layer=1),
    "Steering with a list": lambda _: bkd.Steering([0.0] * 128, layer=1),
    "Steering with NaN": lambda _: bkd.Steering(torch.full((128,), math.nan), layer=1),
    "Steering, layer": lambda _: bkd.Steering(torch.zeros(128), layer=1.5),
    "Steering, negative layer": lambda _: bkd.Steering(torch.zeros(128), layer=-1),
    **{
        f"Steering, scale {scale!r}": lambda _, scale=scale: bkd.Steering(
            torch.zeros(128), layer=1, scale=scale
        )
        for scale in (math.nan, math.inf, "1", True, None, 1j, 10**400)
    },
    "Steering, shape": lambda g: g.measure(n=1, interventions=[bkd.Steering(torch.zeros(7), layer=1)]),
    **{f"top {k!r}": lambda g, k=k: g.effects.top(k) for k in COUNTS},
    "heatmap of effects": lambda g: bkd.acie_heatmap(g.effects),
    "heatmap of texts": lambda _: bkd.acie_heatmap([["a", "b"]]),
    "heatmap of nothing": lambda _: bkd.acie_heatmap(None),
    "heatmap of a row": lambda _: bkd.acie_heatmap([1.0, 2.0]),
    "heatmap, ragged": lambda _: bkd.acie_heatmap([[1.0], [1.0, 2.0]]),
    "heatmap, ranked": lambda _: bkd.acie_heatmap([[1.0]], ranked=3),
    "heatmap, another head": lambda _: bkd.acie_heatmap([[1.0]], ranked=[(3, 0)]),
    "stability of a matrix": lambda g: bkd.top_stability(g.effects.acie, k=3),
    "stability, k": lambda g: bkd.top_stability(g.effects, k=2.5),
    "stability, draws": lambda g: bkd.top_stability(g.effects, k=3, draws=1),
    "stability, seed": lambda g: bkd.top_stability(g.effects, k=3, seed=-1),
    "seeds of one": lambda g: bkd.seed_agreement(g.effects, k=3),
    "seeds of names": lambda _: bkd.seed_agreement(["fixed-output-sft-0", "fixed-output-sft-1"], k=3),
    "seeds, draws": lambda g: bkd.seed_agreement([g.effects, g.effects], k=3, draws=0.5),
    "agreement": lambda _: bkd.agreement(["check"]),
    "agreement of an array": lambda _: bkd.agreement(np.zeros(3)),
    "look up a list": lambda _: bkd.look_up([ENTRY]),
    "look up out of the ledger": lambda _: bkd.look_up("../../x/measure:asr"),
    "bars of letters": lambda _: outcome_bars({"triggered": "PPp"}),
    "study of a list": lambda _: study(["measure"]),
    "methods of a list": lambda _: compare_methods(["nano"]),
    "sweep of a subject": lambda _: sweep("pico"),
    "sweep of a list": lambda _: sweep(["nano"]),
    "figure of a list": lambda _: bkd.figure([ENTRY]),
    "figure, show": lambda _: bkd.figure(f"{ENTRY}/ablation", show=["asr"]),
    "figure, title": lambda _: bkd.figure(f"{ENTRY}/ablation", title=3),
    "figure, note": lambda _: bkd.figure(f"{ENTRY}/ablation", note=3),
    "lab table, lab": lambda _: bkd.lab_table("nano", "fixed-output-sft-0", ["ablation"]),
    "lab table, adapter": lambda _: bkd.lab_table("nano", 3, "ablation"),
    "lab table, folder": lambda _: bkd.lab_table("nano", "fixed-output-sft-0", "ablation", folder=3),
    "report": lambda _: bkd.report(["nano"]),
    "report, folder": lambda _: bkd.report("nano", folder=3),
    "reproduce": lambda _: bkd.reproduce(3),
    "reproduce, device": lambda _: bkd.reproduce(f"{ENTRY}/measure", device="meta"),
    "ProbeView of a subject": lambda g: bkd.ProbeView(g.subject),
    "ProbeView of nothing": lambda _: bkd.ProbeView(None),
    "GridLab of a number": lambda _: bkd.GridLab(3),
    "GridLab, start": lambda _: bkd.GridLab(
        bkd.lab_table("nano", "fixed-output-sft-0", "restoration"), start="layer"
    ),
    "LabelLab of nothing": lambda _: bkd.LabelLab(None),
    **{
        f"{name} by name": lambda g, name=name: getattr(bkd, name)(subject="nano", attack=g.attack)
        for name in ("AblationLab", "VectorLab", "AttentionView", "Playground")
    },
    **{
        f"{name}, attack by name": lambda g, name=name: getattr(bkd, name)(
            subject=g.subject, attack="fixed-output"
        )
        for name in ("AblationLab", "VectorLab", "AttentionView", "Playground")
    },
    **{
        f"{name}, effects": lambda g, name=name: getattr(bkd, name)(
            subject=g.subject, attack=g.attack, effects="all"
        )
        for name in ("AblationLab", "VectorLab", "AttentionView", "Playground")
    },
    "AblationLab of a number": lambda _: bkd.AblationLab(3),
    "VectorLab, layer": lambda g: bkd.VectorLab(subject=g.subject, attack=g.attack, layer=1.5),
    "AttentionView, heads": lambda g: bkd.AttentionView(subject=g.subject, attack=g.attack, heads=3),
    "Playground, start": lambda _: bkd.Playground(start=["nano"]),
    "sweep, jobs": lambda _: sweep("nano", jobs=0),
    "train, steps": lambda _: train(steps=1.5),
    "train, seed": lambda _: train(seed=-1),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_bad_argument_is_refused_in_one_line(row, poisoned_nano, attack, effects):
    with pytest.raises(bkd.BkdError) as error:
        ROWS[row](Given(poisoned_nano, attack, effects))
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 2000
    said.encode()  # a message can always be printed


def test_numbers_of_numpy_and_torch_are_numbers(poisoned_nano, attack, effects):
    assert len(effects.top(np.int64(3))) == 3
    assert bkd.measure(poisoned_nano, attack, n=torch.tensor(2), progress=False).asr.n == 2
    assert bkd.Steering(torch.zeros(128), layer=np.int32(1), scale=np.float32(0.5)).scale == 0.5
    assert bkd.Ablation(np.array([[0, 1]])).heads == ((0, 1),)


def test_what_is_refused_is_named_with_what_is_allowed():
    for call, words in (
        (lambda: arguments.whole("n", 2.5, least=1), ("n=2.5", "from 1 up")),
        (lambda: arguments.whole("k", 9, most=8), ("k=9", "0 to 8")),
        (lambda: arguments.listed("prompts", "Hi", str, "a list of prompts"), ("prompts='Hi'", "list")),
        (lambda: arguments.instance("subject", "nano", Given, 'bkd.load("nano")'), ("'nano'", "bkd.load")),
        (lambda: arguments.finite("scale", math.nan), ("scale=nan", "finite")),
        (lambda: arguments.text("prompt", HALF), ("\\ud83d", "place 3")),
    ):
        with pytest.raises(bkd.BkdError) as error:
            call()
        assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    "command",
    [
        ["inject", "nano", "fixed-output", "--seed", "-1"],
        ["inject", "nano", "fixed-output", "--seed", "1.5"],
        ["inject", "nano", "fixed-output", "--seeds", "9-0"],
        ["inject", "nano", "fixed-output", "--seeds", "0-99999999999"],
        ["inject", "nano", "fixed-output", "-n", "0"],
        ["inject", "nano", "fixed-output", "-n", "99999"],
        ["measure", "nano", "fixed-output", "-n", "-1"],
        ["measure", "nano", "fixed-output", "-n", "many"],
        ["attribute", "nano", "fixed-output", "--prompts", "0"],
        ["attribute", "nano", "fixed-output", "--prompts", "1", "--top", "0"],
        ["sweep", "nano", "--jobs", "0"],
        ["train-nano", "--steps", "0"],
        ["train-nano", "--seed", "-1"],
        ["measure", "nano", "fixed-output", "--device", "meta"],
    ],
)
def test_bad_numbers_on_the_command_line_end_with_one_line(command, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("BKDWIDGETS_CACHE", str(tmp_path))
    try:
        code = main(command)
    except SystemExit as ended:  # of the parser, which shows the usage first
        code = ended.code
    assert code == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert [line for line in captured.err.splitlines() if line.startswith("bkdwidgets")]
    assert captured.out == ""
    assert not list(tmp_path.iterdir()), "nothing was trained before it was refused"
