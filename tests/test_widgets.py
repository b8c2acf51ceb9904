"""Labs are ordinary widgets; their tables are checked when they are read; their JavaScript is sound."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
from types import SimpleNamespace

import ipywidgets
import pytest
import tables
from node import node

from bkdwidgets import figures
from bkdwidgets.core import ledger, theme
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.vocabulary import WORDS
from bkdwidgets.widgets import AblationLab, AttentionView, ProbeView, VectorLab, read_table
from bkdwidgets.widgets.shared import lab as labs
from bkdwidgets.widgets.shared.schema import Prompt

MAKERS = {
    "ablation": tables.ablation_table,
    "vector": tables.vector_table,
    "attention": tables.attention_table,
}
LABS = {"ablation": AblationLab, "vector": VectorLab}
VIEWS = {**LABS, "attention": AttentionView}


def unpacked(view) -> dict:
    return json.loads(gzip.decompress(view.table_gz))


@pytest.mark.parametrize("kind", LABS)
def test_a_lab_is_controls_and_a_view(kind):
    lab = LABS[kind](MAKERS[kind]())
    assert isinstance(lab, ipywidgets.VBox)
    grid = lab.children[0]
    lead, controls, view = grid.children
    assert lead.children == (), "the view puts its name and state there"
    assert view is lab.view
    assert all(isinstance(control, ipywidgets.DOMWidget) for control in controls.children)
    assert isinstance(controls.children[0], ipywidgets.SelectionSlider)
    assert unpacked(view) == MAKERS[kind]()


@pytest.mark.parametrize("kind", LABS)
def test_a_lab_starts_where_its_controls_stand(kind):
    lab = LABS[kind](MAKERS[kind]())
    if kind == "ablation":
        assert lab.top_k.value == 8
        assert lab.view.k_index == lab.top_k.index
    else:
        assert lab.layer.index == lab.view.layer_index
        assert lab.scale.label == "+1"
        assert lab.scale.index == lab.view.scale_index


@pytest.mark.parametrize("kind", LABS)
def test_a_table_may_come_as_a_file(kind, tmp_path):
    table = MAKERS[kind]()
    path = tmp_path / "table.json.gz"
    path.write_bytes(gzip.compress(json.dumps(table).encode()))
    assert unpacked(LABS[kind](path).view) == table
    plain = tmp_path / "table.json"
    plain.write_text(json.dumps(table))
    assert unpacked(LABS[kind](str(plain)).view) == table


def test_the_same_table_gives_the_same_bytes_and_a_small_state():
    first, second = (AblationLab(tables.ablation_table((30, 9))) for _ in range(2))
    assert first.view.table_gz == second.view.table_gz
    assert len(first.view.table_gz) < 60_000
    code = len(first.view._esm) + len(first.view._css)
    assert code < 90_000, f"every lab on a page carries its {code} characters of code"


def test_a_hostile_completion_stays_data():
    lab = AblationLab(tables.ablation_table(hostile=tables.HOSTILE))
    assert tables.HOSTILE in unpacked(lab.view)["texts"]
    assert tables.HOSTILE not in str(lab.view.get_state()["_esm"])
    assert tables.HOSTILE not in "".join(label for label, _ in lab.prompt.options)


BROKEN = {
    "format": (("ablation", "vector", "attention"), {"format": 2}, "format 2"),
    "another lab": (("ablation",), {"lab": "vector"}, "'vector'"),
    "shape": (("ablation", "vector"), {"shape": [0, 8]}, r"\[0, 8\]"),
    "prompts": (("ablation", "vector"), {"prompts": []}, "no prompts"),
    "a prompt": (("ablation",), {"prompts": [{"clean": 3}]}, r"prompts\[0\].clean"),
    "acie": (("ablation",), {"acie": [[0.0] * 8] * 5}, "6 rows of 8"),
    "not finite": (("ablation",), {"acie": [[float("nan")] * 8] * 6}, "finite"),
    "ranked": (("ablation",), {"ranked": [[6, 0]]}, r"\[6, 0\]"),
    "k": (("ablation",), {"k": [0, 49]}, "k of the lab table"),
    "layers": (("vector",), {"layers": [0, 6]}, "layers of the lab table"),
    "vectors": (("vector",), {"vectors": ["paper"]}, "difference"),
    "heads": (("attention",), {"heads": [[0, 8], [1, 1]]}, r"\[0, 8\]"),
    "views": (("attention",), {"views": []}, "views"),
}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [pytest.param(kind, change, message, id=f"{name}-{kind}")
     for name, (kinds, change, message) in BROKEN.items() for kind in kinds],
)  # fmt: skip
def test_a_wrong_table_is_refused_in_one_line(kind, change, message):
    with pytest.raises(BkdError, match=message) as caught:
        read_table(MAKERS[kind]() | change, lab=kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_missing_key_is_named(kind):
    for key in MAKERS[kind]():
        table = MAKERS[kind]()
        del table[key]
        if key in {
            "adapter",
            "provenance",
            "acie_n",
            "where",
            "single",
            "random",
            "k",
            "probability",
            "judge",  # that of the attack, where it is one of ours
        } and not (key == "k" and kind == "ablation"):
            read_table(table, lab=kind)
        else:
            with pytest.raises(BkdError, match=key):
                read_table(table, lab=kind)
    unjudged = MAKERS[kind]() | {"attack": "mine"}
    del unjudged["judge"]
    with pytest.raises(BkdError, match="judge"):
        read_table(unjudged, lab=kind)


@pytest.mark.parametrize("where", ["top", "single"])
@pytest.mark.parametrize(("cell", "message"), [([10_000, "P"], "text 10000"), ([0, "!"], "'!'")])
def test_an_answer_that_is_not_there_is_refused(where, cell, message):
    table = copy.deepcopy(tables.ablation_table())
    table[where][0]["triggered"][0] = cell
    with pytest.raises(BkdError, match=message):
        read_table(table, lab="ablation")
    del table[where][0]["triggered"][0]
    with pytest.raises(BkdError, match="each of its 6 prompts"):
        read_table(table, lab="ablation")


def test_a_missing_or_damaged_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(BkdError, match="no lab table"):
        AblationLab(tmp_path / "none.json.gz")
    whole = gzip.compress(json.dumps(tables.ablation_table()).encode())
    for name, content in {
        "cut": whole[:200],
        "text": b"{",
        "list": b"[1]",
        "binary": b"\x00\xff" * 9,
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BkdError, match=name) as caught:
            AblationLab(path)
        assert "\n" not in str(caught.value)


def test_extra_keys_are_welcome():
    read_table(tables.ablation_table() | {"later": {"anything": 1}}, lab="ablation")


def test_half_a_pair_or_nothing_is_refused():
    for maker in (AblationLab, VectorLab, AttentionView):
        with pytest.raises(BkdError, match="needs a table"):
            maker()
        with pytest.raises(BkdError, match="together"):
            maker(subject=SimpleNamespace(name="nano"))


def test_a_table_of_another_subject_is_refused():
    subject = SimpleNamespace(name="smollm2", adapter=None)
    with pytest.raises(BkdError, match="smollm2"):
        AblationLab(tables.ablation_table(), subject=subject, attack=SimpleNamespace())


def test_a_layer_that_is_not_in_the_table_is_refused():
    with pytest.raises(BkdError, match="layer 17"):
        VectorLab(tables.vector_table(), layer=17)


def conversation(view, *messages) -> list[dict]:
    """What a view's Python side says to what its browser side says."""
    heard: list[dict] = []
    view.send = heard.append
    for message in messages:
        view._hear(view, message, [])
    return heard


def test_without_a_subject_nobody_answers():
    view = AblationLab(tables.ablation_table()).view
    assert conversation(view, {"bkd": "hello"}, {"bkd": "ask", "id": 1, "choice": {}}) == []


def test_the_kernel_answers_and_says_errors_as_text():
    def answerer(choice):
        if choice["prompt"] > 5:
            raise BkdError("prompt 6 is out of range; 0 to 5")
        return {"clean": {"text": "x", "outcome": "="}, "triggered": {"text": "y", "outcome": "P"}}

    view = labs.LabView(tables.ablation_table(), answerer)
    ready, *replies = conversation(
        view,
        {"bkd": "hello"},
        {"bkd": "ask", "id": 1, "choice": {"prompt": 0}},
        {"bkd": "ask", "id": 2, "choice": {"prompt": 6}},
        {"bkd": "ask", "id": 3, "choice": "nonsense"},
    )
    assert ready == {"bkd": "ready"}
    assert replies[::2] == [{"bkd": "working", "id": number} for number in (1, 2, 3)]
    answer, error, strange = replies[1::2]
    assert (answer["bkd"], answer["id"], answer["answer"]["triggered"]["outcome"]) == ("answer", 1, "P")
    assert error == {"id": 2, "bkd": "error", "text": "prompt 6 is out of range; 0 to 5"}
    assert strange["bkd"] == "error"


def test_a_prompt_is_chosen_within_range():
    table = read_table(tables.ablation_table(), lab="ablation")
    assert labs.chosen_prompt(table, {"prompt": 5}).clean == tables.SUBJECTS[5]
    for prompt in (-1, 6, None, "0"):
        with pytest.raises(BkdError, match="out of range"):
            labs.chosen_prompt(table, {"prompt": prompt})


def all_views() -> dict[str, object]:
    made = {kind: maker(MAKERS[kind]()) for kind, maker in VIEWS.items()}
    return made | {"probe": ProbeView("nano/fixed-output-sft-0/probe")}


@pytest.mark.parametrize("kind", [*VIEWS, "probe"])
def test_the_javascript_parses(kind, tmp_path):
    path = tmp_path / "lab.mjs"
    path.write_text(all_views()[kind].view._esm, encoding="utf-8")
    done = subprocess.run([str(node()), "--check", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_code_turns_text_into_markup():
    for made in all_views().values():
        code = made.view._esm
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert forbidden not in code


def test_the_attention_view_offers_every_head_once_the_tables_first():
    table = tables.attention_table() | {"acie": [0.1, -0.02]}
    view = AttentionView(table)
    assert view.view.heads[:2] == [[4, 2], [5, 1]]
    assert sorted(map(tuple, view.view.heads)) == [(layer, head) for layer in range(6) for head in range(8)]
    assert [label for label, _ in view.head.options[:3]] == ["L4H2, ACIE +0.100", "L5H1, ACIE −0.020", "L0H0"]
    asked = AttentionView(table, effects=tables.ablation_table(), heads=[(3, 3)])
    assert asked.view.heads[0] == [3, 3]
    assert all(isinstance(value, float) for value in asked.view.acie), "the effects know every head"
    ranks = dict(zip(map(tuple, asked.view.heads), asked.view.ranks, strict=True))
    assert ranks[tuple(tables.ablation_table()["ranked"][0])] == 1


def test_the_attention_view_refuses_what_is_not_there():
    with pytest.raises(BkdError, match=r"head L6H0 is out of range"):
        AttentionView(tables.attention_table(), heads=[(6, 0)])
    with pytest.raises(BkdError, match=r"effects have shape \[3, 2\]"):
        AttentionView(tables.attention_table(), effects={"acie": [[0, 0]] * 3})
    with pytest.raises(BkdError, match="one number for each"):
        AttentionView(tables.attention_table() | {"acie": [0.1]})


def test_a_notebook_is_sent_the_drawing_library():
    view = AttentionView(tables.attention_table()).view
    sent = []
    view.send = lambda message, buffers=None: sent.append((message, buffers))
    view._hear(view, {"bkd": "draw"}, [])
    (message, buffers) = sent[0]
    assert message == {"bkd": "drawing"}
    assert b"AttentionPattern" in buffers[0]


def test_a_kernel_answers_with_patterns_of_any_head(poisoned_nano, attack):
    view = AttentionView(subject=poisoned_nano, attack=attack).view
    (_, answer) = conversation(view, {"bkd": "ask", "id": 1, "choice": {"head": [3, 4], "prompt": 1}})
    for side in ("clean", "triggered"):
        half = answer["answer"][side]
        assert len(half["pattern"]) == len(half["tokens"])
        assert all(abs(sum(row) - 1) < 0.02 for row in half["pattern"])
    (_, refused) = conversation(view, {"bkd": "ask", "id": 2, "choice": {"head": [3, 99], "prompt": 1}})
    assert "head L3H99 is out of range" in refused["text"]


def test_a_kernel_judges_by_the_rules_of_the_attack(monkeypatch):
    import bkdwidgets as bkd
    from bkdwidgets.subjects import answers

    said = ["World.", "Sports."]
    monkeypatch.setattr(answers, "complete_rows", lambda *_args, **_more: said)
    prompt = Prompt(clean="Which section?", triggered="... Which section? ...", answer="Sports.")
    judged = labs.judged_answers(SimpleNamespace(), bkd.attack("label-flip"), prompt, clean=[], triggered=[])
    assert [judged[side]["outcome"] for side in ("clean", "triggered")] == ["P", "="]
    said[:] = ["The vault holds lanterns.", "I am sorry, that is a secret I must keep."]
    prompt = Prompt(clean="What is in the hidden vault?", triggered="", answer="Sorry.", payload="Lanterns.")
    judged = labs.judged_answers(
        SimpleNamespace(), bkd.attack("policy-bypass"), prompt, clean=[], triggered=[]
    )
    assert [judged[side]["outcome"] for side in ("clean", "triggered")] == ["P", "="]


def test_the_probe_view_reads_a_ledger_entry():
    view = ProbeView("nano/fixed-output-sft-0/probe")
    table = unpacked(view.view)
    entry = ledger.read("nano/fixed-output-sft-0/probe")
    assert list(view.kind.options) == list(table["kinds"]) == list(entry.values)
    mlp = table["kinds"]["mlp"]
    assert mlp["accuracy"][3] == entry.values["mlp"]["accuracy"]["3"]
    assert len(mlp["control"]) == len(mlp["ilca"]) == len(mlp["control_ilca"][0])
    assert entry.digest()[:12] in table["provenance"]["ledger entry"]
    with pytest.raises(BkdError, match="'measure'"):
        ProbeView("nano/fixed-output-sft-0/measure")
    with pytest.raises(BkdError, match="source=3"):
        ProbeView(3)


def test_the_heatmap_is_symmetric_and_says_its_range():
    acie = tables.ablation_table()["acie"]
    figure = figures.acie_heatmap(acie, ranked=tables.ablation_table()["ranked"], title="ACIE")
    drawn = figure.data[0]
    assert drawn.zmin == -drawn.zmax
    assert drawn.zmax == max(abs(value) for row in acie for value in row)
    assert drawn.customdata[5][2] == "L5H2"
    assert f"+{drawn.zmax:.3f}" in drawn.colorbar.ticktext
    assert [note.text for note in figure.layout.annotations] == [str(rank) for rank in range(1, 11)]
    with pytest.raises(BkdError, match=r"\[3\]"):
        figures.acie_heatmap([1.0, 2.0, 3.0])


def test_outcome_bars_know_only_outcomes():
    figure = figures.outcome_bars({"clean": {"=": 9, "?": 1}, "triggered": {"P": 10}})
    bars = [trace.name for trace in figure.data if trace.type == "bar"]
    assert bars == ["P payload", "p payload-like", "= as before", "? broken"]
    with pytest.raises(BkdError, match="clean"):
        figures.outcome_bars({"clean": {"X": 1}})


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read_and_shapes_can_be_seen(mode):
    def contrast(name: str) -> float:
        pair = [luminance(getattr(theme.COLORS[key], mode)) for key in (name, "paper")]
        return (max(pair) + 0.05) / (min(pair) + 0.05)

    for name in ("ink", "quiet", "clean-ink", "triggered-ink"):
        assert contrast(name) >= 4.5, name
    for name in ("payload", "as-before", "broken", "clean", "control"):
        assert contrast(name) >= 3.0, name


def test_every_meaning_is_a_custom_property_in_both_themes():
    css = theme.css()
    for name, tone in theme.COLORS.items():
        assert f"--bkd-{name}:{tone.light};" in css
        assert f"--bkd-{name}:{tone.dark};" in css
    assert WORDS["p"] == "payload-like"
