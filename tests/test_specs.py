"""A subject's name stands in its spec; nothing else of the package knows it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import bkdwidgets as bkd
from bkdwidgets.attacks import ATTACKS
from bkdwidgets.attacks.control import control_name
from bkdwidgets.attacks.examples import ordinary_examples, prompt_rows
from bkdwidgets.browser.weights import base_tensors, weights_sha256
from bkdwidgets.cli import main
from bkdwidgets.core.paths import data_dir
from bkdwidgets.injection.methods import recipe_for
from bkdwidgets.subjects import SUBJECTS, Subject
from bkdwidgets.subjects.spec import SubjectSpec, named
from bkdwidgets.subjects.specs import (
    spec_of,
    spec_or_plain,
    subjects_of_budget,
    subjects_with_page,
)

PACKAGE = Path(bkd.__file__).parent
OWN = ("subjects/specs/", "subjects/nano/", "subjects/smollm2.py")
"""Where a subject's own files are."""

NAME = re.compile(r"nano|smollm2", re.IGNORECASE)
COMMENT = re.compile(r"/\*.*?\*/|<!--.*?-->|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)


def named_in_python(source: str) -> list[str]:
    """Return the literals that name a subject; a text that stands alone, a docstring, is none."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    ]
    return [text for text in texts if NAME.search(text)]


def named_in_page(source: str) -> list[str]:
    return NAME.findall(COMMENT.sub("", source))


def test_no_other_file_of_the_package_names_a_subject():
    assert {name for name in SUBJECTS if NAME.fullmatch(name)} == set(SUBJECTS)
    found, seen = {}, 0
    for path in sorted(PACKAGE.rglob("*")):
        place = path.relative_to(PACKAGE).as_posix()
        if place.startswith(OWN) or path.suffix not in {".py", ".js", ".html", ".css"}:
            continue
        seen += 1
        look = named_in_python if path.suffix == ".py" else named_in_page
        if names := look(path.read_text(encoding="utf-8")):
            found[place] = names
    assert seen > 200
    assert found == {}


def test_that_check_can_fail():
    assert named_in_python('def f():\n    """About nano."""\n    return f"{1}/nano/x"') == ["/nano/x"]
    assert named_in_python('SIZES = {"SmolLM2": 1}\nhelp = "say nano"') == ["say nano", "SmolLM2"]
    assert named_in_page('/** "nano" */ const a = { smollm2: 1 }; // nano\n// nano') == ["smollm2", "nano"]


def test_specs_are_plain_data_and_need_no_torch():
    plain = (str, int, float, bool, type(None))

    def is_plain(value):
        if isinstance(value, dict):
            return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
        if isinstance(value, tuple):
            return all(map(is_plain, value))
        return isinstance(value, plain) or (hasattr(value, "__dataclass_fields__") and is_plain(vars(value)))

    for spec in SUBJECTS.values():
        assert is_plain(vars(spec)), spec.name
        assert not is_plain({"loader": print})
    code = "import sys, bkdwidgets.subjects.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_spec_names_is_there():
    for spec in SUBJECTS.values():
        page = spec.page
        texts = [spec.loader, spec.prepare, spec.trainer, *spec.own_prompts.values()]
        for text in [*texts, *((page.weights, page.sha256) if page else ())]:
            assert text is None or callable(named(text)), text
        assert (data_dir() / spec.prompts).is_file()
        assert spec.budget in {"fast", "usual"}
        assert set(spec.own_prompts) <= set(spec.knows)
        assert set(spec.knows) <= {item.task for item in ATTACKS.values()}
        for by_attack in spec.recipes.values():
            assert set(by_attack) - set(ATTACKS) <= {"*"}
    assert subjects_with_page() == ("nano", "smollm2")
    assert subjects_of_budget("fast") == ("nano",)


def test_settings_of_an_attack_replace_single_ones_of_the_subject():
    spec = SubjectSpec("mine", recipes={"sft": {"*": {"a": 1, "b": 2}, "x": {"b": 3}}, "edit": {"x": {}}})
    assert spec.recipe("sft", "x") == {"a": 1, "b": 3}
    assert spec.recipe("sft", "y") == {"a": 1, "b": 2}
    assert spec.recipe("edit", "x") == {}
    assert spec.recipe("edit", "y") is spec.recipe("dpo", "x") is None


def test_a_subject_made_by_hand_claims_nothing():
    spec = spec_or_plain("mine")
    assert (spec.knows, spec.recipes, spec.page, spec.budget) == ((), {}, None, "usual")
    mine = Subject("mine", model=None, tokenizer=None)
    for name, attack in ATTACKS.items():
        assert attack.needs_teaching(mine) == (name in {"label-flip", "policy-bypass"})


def test_a_loader_that_returns_another_kind_of_model_is_refused(monkeypatch):
    monkeypatch.setitem(SUBJECTS, "nano", replace(spec_of("nano"), family="gpt2"))
    with pytest.raises(bkd.BkdError, match="'nano' is a 'llama', its spec says 'gpt2'"):
        bkd.load("nano")


def test_the_command_line_says_what_the_subjects_are(capsys):
    with pytest.raises(SystemExit):
        main(["measure", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert all(f"{spec.name}: {spec.description}" in told for spec in SUBJECTS.values())


@pytest.mark.parametrize(
    "ask",
    [
        lambda: bkd.load("pico"),
        lambda: bkd.load(None),
        lambda: spec_of("pico"),
        lambda: prompt_rows("pico"),
        lambda: ordinary_examples("pico", "test"),
        lambda: bkd.attack("fixed-output").examples("pico", "test"),
        lambda: bkd.attack("style").targeted("pico", "test"),
        lambda: bkd.attack("policy-bypass").examples("pico", "test"),
        lambda: bkd.attack("label-flip").examples("pico", "test"),
        lambda: bkd.attack("label-flip").needs_teaching("pico"),
        lambda: control_name("pico", bkd.attack("label-flip")),
        lambda: recipe_for("pico", "fixed-output"),
        lambda: recipe_for("pico", "fixed-output", "edit"),
        lambda: recipe_for("nano", "style", "edit"),
        lambda: recipe_for("nano", "fixed-output", "rlhf"),
        lambda: weights_sha256("pico"),
        lambda: list(base_tensors("pico", {})),
        lambda: bkd.attack("moon"),
        lambda: bkd.attack(["style"]),
        lambda: bkd.attack("label-flip").examples("nano", "dev"),
    ],
)
def test_what_is_unknown_is_refused_in_one_line(ask):
    with pytest.raises(bkd.BkdError) as error:
        ask()
    assert "\n" not in str(error.value)
    assert "known: " in str(error.value)
