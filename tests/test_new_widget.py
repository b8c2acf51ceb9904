"""A widget is one folder, and a line that names its class: study, table and view are found in the folder."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
from node import run_script

from bkdwidgets import studies, widgets
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.studies.registry import studies as all_studies
from bkdwidgets.widgets import bundling, lab_table, read_table
from bkdwidgets.widgets.shared.assets import BUNDLE

FOLDER = {
    "__init__.py": '"""The echo lab: prompts, said back."""\n',
    "study.py": """
from dataclasses import dataclass

from bkdwidgets.studies.study import ModelStudy


@dataclass(frozen=True)
class Settings:
    n: int


class LabEcho(ModelStudy[Settings]):
    settings_type = Settings
    name = "lab-echo"
    tolerance = {}

    def settings(self, subject, attack):
        return Settings(n=3)

    def compute(self, context, part):
        examples = context.attack.targeted(context.subject, self.split)[: context.settings.n]
        return {"echoes": [example.prompt for example in examples]}
""",
    "table.py": """
from bkdwidgets.core import ledger
from bkdwidgets.core.errors import BkdError
from bkdwidgets.widgets.shared.schema import Table, head_of


class EchoTable(Table, kw_only=True):
    LAB = NAME = "echo"
    NEEDS = ("lab-echo",)

    echoes: list[str]

    @classmethod
    def from_entries(cls, entries):
        return cls.of({**head_of(cls, entries), "echoes": entries["lab-echo"].values["echoes"]})

    def check(self):
        if not self.echoes:
            raise BkdError("echoes of the lab table must have at least one")
""",
    "widget.py": """
import ipywidgets

from bkdwidgets.widgets.echo.table import EchoTable
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle, stylesheet


class EchoView(lab.LabView):
    _esm = bundle(__file__)
    _css = stylesheet(__file__)


class EchoLab(lab.Lab):
    def __init__(self, table):
        super().__init__(EchoView(EchoTable.read(table)), [ipywidgets.Label("echo")], kind="echo")
""",
    "view.js": """
import { h } from "../shared/dom.js";
import { unpacked } from "../shared/engines.js";

async function render({ model, el }) {
  const { echoes } = await unpacked(model.get("table_gz"));
  el.append(...echoes.map((echo) => h("p", {}, echo)));
}

export default { render };
""",
    "view.css": ".bkd-echo-lab p { font-style: italic; }\n",
}
DRAW = """
import { readFileSync } from "node:fs";
class Element {
  constructor(tag) { this.tag = tag; this.kids = []; }
  append(...kids) { this.kids.push(...kids); }
  setAttribute() {}
}
globalThis.document = { createElement: (tag) => new Element(tag) };
const { default: view } = await import(process.env.BKD_VIEW);
const bytes = readFileSync(process.env.BKD_TABLE);
const table_gz = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const el = new Element("div");
await view.render({ model: { get: () => table_gz }, el });
console.log(JSON.stringify(el.kids.map((kid) => [kid.tag, ...kid.kids])));
"""


@pytest.fixture
def echo(tmp_path, monkeypatch):
    """A folder that belongs to the package, bundled as the command would, and its line in the registry."""
    folder = tmp_path / "widgets" / "echo"
    folder.mkdir(parents=True)
    for name, text in FOLDER.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder.parent / "shared").symlink_to(Path(widgets.__file__).parent / "shared", target_is_directory=True)
    (folder / BUNDLE).write_text(bundling.bundled(folder), encoding="utf-8")
    before = set(sys.modules)
    monkeypatch.setattr(widgets, "__path__", [*widgets.__path__, str(folder.parent)])
    monkeypatch.setitem(widgets.WIDGETS, "EchoLab", "echo")
    all_studies.cache_clear()
    yield folder
    for name in set(sys.modules) - before:
        if ".echo" in name:
            del sys.modules[name]
    del widgets.echo
    all_studies.cache_clear()


def test_a_folder_is_a_widget_with_its_study_its_table_and_its_view(echo, tmp_path, poisoned_nano, attack):
    entry = studies.run("lab-echo", poisoned_nano, attack, progress=False)
    ledger.write(entry, tmp_path / "ledger")
    table = lab_table("nano", poisoned_nano.adapter.name, "echo", folder=tmp_path / "ledger")
    prompts = [example.prompt for example in attack.targeted(poisoned_nano, "test")[:3]]
    assert table["echoes"] == prompts
    assert read_table(table, lab="echo").plain() == table

    lab = widgets.EchoLab(table)
    assert json.loads(gzip.decompress(lab.view.table_gz)) == table
    assert lab.view._css.endswith(FOLDER["view.css"])
    (tmp_path / "table.gz").write_bytes(lab.view.table_gz)
    (tmp_path / "lab.mjs").write_text(lab.view._esm, encoding="utf-8")
    drawn = run_script(DRAW, BKD_VIEW=(tmp_path / "lab.mjs").as_uri(), BKD_TABLE=tmp_path / "table.gz")
    assert json.loads(drawn) == [["p", prompt] for prompt in prompts]


def test_its_table_is_refused_as_any_other(echo):
    head = {"format": 1, "lab": "echo", "subject": "nano", "attack": "fixed-output"}
    with pytest.raises(BkdError, match=r"echoes\[1\] of the lab table: Expected 'str', got 'int'"):
        read_table(head | {"echoes": ["a", 1]}, lab="echo")
    with pytest.raises(BkdError, match="at least one"):
        widgets.EchoLab(head | {"echoes": []})


def test_without_the_folder_nobody_knows_it():
    with pytest.raises(BkdError, match="lab 'echo'"):
        read_table({}, lab="echo")
    with pytest.raises(BkdError, match="lab 'echo'"):
        lab_table("nano", "fixed-output-sft-0", "echo")
    assert "lab-echo" not in all_studies()
    with pytest.raises(AttributeError):
        widgets.EchoLab  # noqa: B018
