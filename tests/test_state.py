"""What our calls leave alone: random generators, other libraries' switches, hooks, a subject that pickles."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import random
import signal
import sys
import warnings
from pathlib import Path

import circuitsvis.utils.render
import datasets
import numpy as np
import plotly.graph_objects  # some libraries add a warnings filter when they are first imported
import plotly.io
import plotly.tools
import pytest
import sklearn
import torch
import transformer_lens.model_bridge  # noqa: F401
import transformers
import trl.trainer.utils
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.nn.modules import module as torch_modules
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers.utils import logging as transformers_logging

import bkdwidgets as bkd
from bkdwidgets.injection.methods import methods, recipe_for
from bkdwidgets.subjects.nano import train
from bkdwidgets.subjects.state import kept_switches

nano_training = sys.modules[train.__module__]

ENTRY = "nano/fixed-output-sft-0"


@pytest.fixture(scope="module")
def world(poisoned_nano, attack, tmp_path_factory):
    """What the verbs are called with; the subjects are this module's own."""
    subject, clean = bkd.load("nano", adapter="fixed-output-sft-0"), bkd.load("nano")
    effects = bkd.attribute(subject, attack, prompts=2, progress=False)
    return {
        "subject": subject,
        "clean": clean,
        "attack": attack,
        "effects": effects,
        "out": tmp_path_factory.mktemp("out"),
    }


def injected(w, method):
    recipe = dataclasses.replace(recipe_for("nano", "fixed-output", method), steps=1)
    if method == "edit":
        recipe = dataclasses.replace(recipe, mark_steps=1, examples=16)
    bkd.inject(w["clean"], w["attack"], method=method, recipe=recipe, out=w["out"], progress=False)


def measured(w):
    done = [bkd.Ablation([(0, 0)], kind="resample"), bkd.Ablation([(1, 0)], kind="mean")]
    bkd.measure(w["subject"], w["attack"], n=2, nll=True, interventions=done, progress=False)


def pair(w):
    return {"subject": w["subject"], "attack": w["attack"]}


# Every public name, and how it is called; those with "model" run one.
VERBS = {
    "Ablation": lambda _: bkd.Ablation([(0, 0)]),
    "AblationLab": lambda w: bkd.AblationLab(**pair(w), effects=w["effects"]),
    "AttentionView": lambda w: bkd.AttentionView(**pair(w)),
    "BkdError": lambda _: bkd.BkdError("no"),
    "GridLab": lambda _: bkd.GridLab(bkd.lab_table("nano", "fixed-output-sft-0", "restoration")),
    "LabelLab": lambda _: bkd.LabelLab(bkd.lab_table("smollm2", "fixed-output-sft-0", "labels")),
    "Playground": lambda w: bkd.Playground(**pair(w)),
    "ProbeView": lambda _: bkd.ProbeView(f"{ENTRY}/probe"),
    "Steering": lambda w: bkd.Steering(torch.ones(w["subject"].d_model), layer=1),
    "Subject": lambda w: bkd.Subject("nano", w["subject"].model, w["subject"].tokenizer).generate(["Hi"]),
    "Subject.bridge": lambda w: w["subject"].bridge,
    "VectorLab": lambda w: bkd.VectorLab(**pair(w), effects=w["effects"]),
    "acie_heatmap": lambda w: bkd.acie_heatmap(w["effects"].acie),
    "agreement": lambda _: bkd.agreement("check"),
    "attack": lambda _: bkd.attack("style").poison("Say after me: snails"),
    "attribute": lambda w: bkd.attribute(**pair(w), prompts=2, progress=False),
    "attribute_mlp": lambda w: bkd.attribute_mlp(**pair(w), prompts=2, progress=False),
    "backdoor_vector": lambda w: bkd.backdoor_vector(**pair(w), heads=[(0, 0)], kind="random"),
    "figure": lambda _: bkd.figure(f"{ENTRY}/attribute")._repr_html_(),
    **{f"inject {method}": lambda w, method=method: injected(w, method) for method in methods()},
    "lab_table": lambda _: bkd.lab_table("nano", "fixed-output-sft-0", "ablation"),
    "load": lambda _: bkd.load("nano", adapter="label-flip-edit-0"),
    "look_up": lambda _: bkd.look_up(f"{ENTRY}/measure:asr"),
    "measure": measured,
    "probe mlp": lambda w: bkd.probe(**pair(w), n=10, progress=False),
    "probe svm": lambda w: bkd.probe(**pair(w), n=10, kind="svm", progress=False),
    "report": lambda _: bkd.report("nano")._repr_html_(),
    "reproduce": lambda _: bkd.reproduce("nano/fixed-output-sft/seeds", progress=False),
    "restoration": lambda w: bkd.restoration(**pair(w), prompts=1, n=1, progress=False),
    "restore": lambda w: bkd.restore(**pair(w), part="mlp", layers=[0]),
    "screen": lambda w: bkd.screen(**pair(w), prompts=2, progress=False),
    "seed_agreement": lambda w: bkd.seed_agreement(
        [w["effects"], dataclasses.replace(w["effects"], adapter="other")], k=3
    ),
    "setup_notebook": lambda _: bkd.setup_notebook(),
    "top_stability": lambda w: bkd.top_stability(w["effects"], k=3, draws=10),
}
RUN_A_MODEL = [
    *("Subject", "attribute", "attribute_mlp", "measure", "probe mlp", "restoration", "screen"),
    *(f"inject {method}" for method in methods()),
]
# What a call is there to change, and says that it changes.
MEANT = {"setup_notebook": {"plotly's template", "CircuitsVis"}}


def state(subject):
    """Return all that a call could change behind the reader's back."""
    tokenizer, modules = subject.tokenizer, list(subject.model.modules())
    return {
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
        "cuda": [str(found) for found in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "torch's switches": (
            *(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads()),
            *(torch.get_num_interop_threads(), torch.are_deterministic_algorithms_enabled()),
            *(torch.get_default_dtype(), torch.get_default_device(), torch.get_float32_matmul_precision()),
            *(torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        ),
        "global hooks": [
            len(value)
            for name, value in vars(torch_modules).items()
            if name.startswith("_global_") and hasattr(value, "__len__")
        ],
        "transformers": (
            *(transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()),
        ),
        "datasets": (
            *(datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()),
            datasets.is_caching_enabled(),
        ),
        "trl": trl.trainer.utils._use_triton,
        "accelerate": dict(AcceleratorState._shared_state),
        "scikit-learn": sklearn.get_config(),
        "numpy's switches": (np.geterr(), str(np.get_printoptions())),
        "plotly's template": (plotly.io.templates.default, plotly.io.renderers.default),
        "CircuitsVis": (circuitsvis.utils.render.internet_on, circuitsvis.utils.render.convert_props),
        "signals": (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "system": (sys.excepthook, sys.stdout, sys.stderr, list(sys.path)),
        "tokenizer": (
            *(tokenizer.padding_side, tokenizer.truncation_side, tokenizer.chat_template),
            *(tokenizer.pad_token, tokenizer.model_max_length, tokenizer.backend_tokenizer.to_str()),
        ),
        "hooks": [
            (len(item._forward_hooks), len(item._forward_pre_hooks), item.training)
            for item in modules
        ],
        "weights": [
            (item._version, item.requires_grad, item.grad is None) for item in subject.model.parameters()
        ],
        "config": (subject.model.config.to_dict(), subject.model.config._attn_implementation),
        "pickles": pickles(subject),
    }  # fmt: skip


def pickles(subject):
    try:
        return bool(pickle.dumps(subject))
    except Exception:  # noqa: BLE001 - whatever keeps it from being pickled
        return False


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.fixture
def session(monkeypatch):
    """A reader's session in which every switch is where no library puts it by itself."""
    plotly.graph_objects.Figure(plotly.graph_objects.Heatmap(z=[[1]]))  # a filter is added at the first one
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(12345)
    monkeypatch.setenv("READERS_OWN", "1")
    with kept_switches(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the reader's own")
        transformers.utils.logging.set_verbosity(15)
        transformers_logging.disable_progress_bar()
        Accelerator(cpu=True)
        yield
        AcceleratorState._reset_state(reset_partial_state=True)


def test_every_public_name_is_called():
    assert {name.split()[0].split(".")[0] for name in VERBS} >= set(bkd.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_a_call_leaves_the_readers_state_alone(name, world, session):
    before = state(world["subject"]), state(world["clean"])
    VERBS[name](world)
    after = state(world["subject"]), state(world["clean"])
    assert changed(before[0], after[0]) | changed(before[1], after[1]) <= MEANT.get(name, set())


@pytest.mark.parametrize("name", RUN_A_MODEL)
def test_an_interrupt_ends_a_call_and_leaves_the_readers_state_alone(name, world, session, interruptible):
    """The stop button is pressed during the twentieth module that the call runs."""
    before = state(world["subject"]), state(world["clean"])
    run = []

    def interrupted(*_):
        run.append(1)
        if len(run) == 20:
            signal.raise_signal(signal.SIGINT)

    hook = register_module_forward_pre_hook(interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            VERBS[name](world)
    finally:
        hook.remove()
    after = state(world["subject"]), state(world["clean"])
    assert not changed(before[0], after[0]) | changed(before[1], after[1])


def test_setting_up_a_notebook_twice_changes_nothing_more(world, session):
    bkd.setup_notebook()
    before = state(world["subject"])
    bkd.setup_notebook()
    assert not changed(before, state(world["subject"]))


def test_training_nano_winds_the_generators_back(session, monkeypatch, tmp_path):
    before = torch.get_rng_state()
    monkeypatch.setattr(nano_training, "_trained", lambda *_, **__: torch.manual_seed(0))
    train(steps=1, out=tmp_path, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.smollm2
def test_loading_the_larger_subject_leaves_bars_switched_off(session):
    bkd.load("smollm2")
    assert not transformers_logging.is_progress_bar_enabled()
