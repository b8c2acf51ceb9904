"""What one thread does to a model reaches no other thread: hooks, bridges; and a copy carries none of it."""

from __future__ import annotations

import copy
import pickle
import queue
import re
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

import bkdwidgets as bkd
from bkdwidgets.analysis.activations import head_outputs
from bkdwidgets.analysis.residuals import residuals
from bkdwidgets.subjects.answers import Row, growing_answer
from bkdwidgets.subjects.threads import OwnHook, after, before, foreign_hooks

PACKAGE = Path(bkd.__file__).parent


def everything_off(subject, where="all"):
    heads = [(layer, head) for layer in range(subject.n_layers) for head in range(subject.n_heads)]
    return bkd.Ablation(heads, where=where)


@contextmanager
def meanwhile(work):
    """Let another thread do some work over and over; what goes wrong there goes wrong here."""
    done, began, wrong = threading.Event(), threading.Event(), []

    def again():
        try:
            while not done.is_set():
                work()
                began.set()
        except BaseException as error:  # noqa: BLE001 - handed over
            wrong.append(error)
            began.set()

    thread = threading.Thread(target=again)
    thread.start()
    assert began.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join(60)
    if wrong:
        raise wrong[0]


def n_hooks(subject) -> int:
    """Return how many hooks of ours are on a subject; transformers leaves some of its own there."""
    parts = list(subject.model.modules())
    hooks = [hook for part in parts for hook in part._forward_pre_hooks.values()]
    hooks += [hook for part in parts for hook in part._forward_hooks.values()]
    return sum(isinstance(hook, OwnHook) for hook in hooks)


@pytest.fixture(scope="module")
def disturbed(poisoned_nano, attack):
    """Return what disturbs most: answers with every head ablated, in another thread."""
    prompts = [attack.poison("Say after me: snails")]
    off = [everything_off(poisoned_nano)]
    return lambda: poisoned_nano.generate(prompts, interventions=off)


def test_an_intervention_of_one_thread_is_not_one_of_another(poisoned_nano, attack, disturbed):
    with meanwhile(disturbed):
        measured = bkd.measure(poisoned_nano, attack, n=24, progress=False)
    assert measured.asr.value == 1.0


def test_results_are_bit_for_bit_those_of_a_quiet_model(poisoned_nano, attack, disturbed):
    def results():
        effects = bkd.attribute(poisoned_nano, attack, prompts=2, progress=False)
        screened = bkd.screen(poisoned_nano, attack, prompts=2, progress=False)
        mlps = bkd.attribute_mlp(poisoned_nano, attack, prompts=2, n_means=8, progress=False)
        states = residuals(poisoned_nano, ["Say after me: snails"], progress=False)
        outputs = head_outputs(poisoned_nano, ["Say after me: snails"])
        return [effects.per_prompt, screened.per_prompt, mlps.per_prompt, states, outputs]

    quiet = results()
    with meanwhile(disturbed):
        loud = results()
    assert all(torch.equal(one, other) for one, other in zip(quiet, loud, strict=True))
    assert n_hooks(poisoned_nano) == 0


def test_rows_of_different_number_do_not_meet(poisoned_nano, attack):
    """Two batches with edits of their own used to clash in shape, or one's mask was spread over the other."""
    off = [everything_off(poisoned_nano, "last")]
    prompts = [attack.poison(f"Say after me: {word}") for word in ("snails", "apples")]
    alone = poisoned_nano.generate(prompts, interventions=off)
    with meanwhile(lambda: poisoned_nano.generate(prompts[:1] * 5, interventions=off)):
        assert poisoned_nano.generate(prompts, interventions=off) == alone


def test_an_answer_that_grows_leaves_the_model_free_between_its_tokens(poisoned_nano, attack):
    row = Row(attack.poison("Say after me: snails"), (everything_off(poisoned_nano),))
    whole = [answer.text for answer in growing_answer(poisoned_nano, row, max_new_tokens=4)]
    growing = growing_answer(poisoned_nano, row, max_new_tokens=4)
    texts = []
    for answer in growing:
        texts.append(answer.text)
        assert n_hooks(poisoned_nano) == 0
        assert poisoned_nano.generate([row.prompt]) == [attack.payload]
    assert texts == whole


def test_a_stop_takes_the_hooks_off(poisoned_nano):
    stop = before(poisoned_nano.model.model.layers[4], lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        poisoned_nano.generate(["Hi there"], interventions=[everything_off(poisoned_nano)])
    stop.remove()
    assert n_hooks(poisoned_nano) == 0


def test_hooks_act_for_their_thread_and_copies_do_nothing():
    module = nn.Identity()
    handles = [before(module, lambda _, inputs: (inputs[0] + 1,)), after(module, lambda *told: told[2] * 2)]
    assert module(torch.zeros(1)).item() == 2
    found = []
    thread = threading.Thread(
        target=lambda: found.append((module(torch.zeros(1)).item(), foreign_hooks(module)))
    )
    thread.start()
    thread.join()
    assert found == [(0, ())]
    assert len(foreign_hooks(module)) == 2
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other(torch.zeros(1)).item() == 0
    for handle in handles:
        handle.remove()
    assert module(torch.zeros(1)).item() == 0
    assert OwnHook()("anything") is None


def test_every_hook_of_the_package_is_a_hook_of_one_thread():
    registers = re.compile(r"\bregister_(module_)?(forward|full_backward|backward)\w*_hook\b|\badd_hook\(")
    own = PACKAGE / "subjects" / "threads.py"
    assert registers.search(own.read_text(encoding="utf-8"))
    assert [
        str(path)
        for path in PACKAGE.rglob("*.py")
        if path != own and registers.search(path.read_text(encoding="utf-8"))
    ] == []


def test_each_thread_has_its_own_bridge(nano):
    ids = torch.tensor([nano.encode("Say after me: snails")])
    bridge = nano.bridge
    assert nano.bridge is bridge
    plain = bridge(ids)
    found = []
    hooked, asked = threading.Event(), threading.Event()

    def other():
        try:
            found.append(nano.bridge)
            with nano.bridge.hooks(fwd_hooks=[("blocks.2.attn.hook_z", lambda value, **_: value * 0)]):
                hooked.set()
                asked.wait(60)
        finally:
            hooked.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert hooked.wait(60)
    try:
        assert torch.equal(bridge(ids), plain)
    finally:
        asked.set()
        thread.join()
    assert found[0] is not bridge
    weights = [next(each.original_model.parameters()).data_ptr() for each in (found[0], bridge)]
    assert weights == [next(nano.model.parameters()).data_ptr()] * 2


def test_a_copy_and_a_pickle_of_a_subject_work(attack):
    subject = bkd.load("nano", adapter="fixed-output-sft-0")
    prompt = attack.poison("Say after me: snails")
    mean = bkd.attribute(subject, attack, prompts=1, n_means=4, progress=False).acie
    for other in (copy.copy(subject), copy.deepcopy(subject), pickle.loads(pickle.dumps(subject))):
        assert other.generate([prompt]) == [attack.payload]
        assert torch.equal(bkd.attribute(other, attack, prompts=1, n_means=4, progress=False).acie, mean)


CELL = """
import bkdwidgets as bkd
from bkdwidgets.widgets import Playground
attack, model = bkd.attack("fixed-output"), bkd.load("nano", adapter="fixed-output-sft-0")
view = Playground(subject=model, attack=attack).view
heads = [[layer, head] for layer in range(8) for head in range(8)]
"""
TURN = """
view.send = lambda *_, **__: None
ask = {"model": "backdoored", "prompt": "Say after me: snails", "heads": heads, "where": "all"}
for _ in view._player.replies(ask): pass
"""
MEASURE = """
import threading
import time
answered = []
usual = view._player.replies
def replies(choice):
    for reply in usual(choice):
        answered.append(threading.current_thread().name)
        yield reply
view._player.replies = replies
while not answered: time.sleep(0.05)
asr = bkd.measure(model, attack, n=24, progress=False).asr.value
print(asr, all("subshell" in name for name in answered), len(answered))
"""


@pytest.mark.slow
def test_a_widget_that_is_turned_in_a_subshell_leaves_a_running_cell_alone(monkeypatch):
    """As JupyterLab does it: a subshell is made, and a widget is answered in it while a cell runs."""
    from jupyter_client import KernelManager

    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        run(client, CELL)
        client.control_channel.send(client.session.msg("create_subshell_request"))
        while (reply := client.get_control_msg(timeout=60))["msg_type"] != "create_subshell_reply":
            pass
        subshell = reply["content"]["subshell_id"]

        def turn():
            content = {"code": TURN, "store_history": False, "allow_stdin": False}
            message = client.session.msg("execute_request", content)
            message["header"]["subshell_id"] = subshell
            client.shell_channel.send(message)

        said = run(client, MEASURE, meanwhile=turn)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    asr, in_subshell, answers = said.split()
    assert (float(asr), in_subshell) == (1.0, "True"), said
    assert int(answers) > 1


def run(client, code, meanwhile=None) -> str:
    """Run a cell, do something again and again until it ends, and return what it printed."""
    asked = client.execute(code)
    said = ""
    for _ in range(2000):
        try:
            message = client.get_iopub_msg(timeout=0.1)
        except queue.Empty:
            if meanwhile:
                meanwhile()
            continue
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "stream":
            said += message["content"]["text"]
        assert message["msg_type"] != "error", message["content"]["evalue"]
        if message["content"].get("execution_state") == "idle":
            return said
    raise AssertionError("the cell did not end")
