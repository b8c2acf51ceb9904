"""The views are ES modules; what travels with a widget is their bundle, made by a pinned esbuild."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bkdwidgets.core.errors import BkdError
from bkdwidgets.widgets import WIDGETS, bundling
from bkdwidgets.widgets.shared.assets import BUNDLE

FOLDER = Path(bundling.__file__).parent
ROOT = FOLDER.parents[1]


@pytest.mark.parametrize("widget", sorted(set(WIDGETS.values())))
def test_the_modules_give_the_bundle_that_ships(widget):
    shipped = (FOLDER / widget / BUNDLE).read_text(encoding="utf-8")
    assert bundling.bundled(FOLDER / widget) == shipped, "bundle again: python -m bkdwidgets.widgets.bundling"


def test_the_vocabulary_is_pythons():
    shipped = bundling.VOCABULARY.read_text(encoding="utf-8")
    assert shipped == bundling.vocabulary(), "bundle again: python -m bkdwidgets.widgets.bundling"
    assert shipped.count("export const") == 3


def test_every_view_is_a_widget_and_every_widget_has_its_view():
    assert {view.parent.name for view in FOLDER.glob("*/view.js")} == set(WIDGETS.values())
    assert "`python -m bkdwidgets.widgets.bundling`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_shared_modules_import_no_widget():
    """A widget's module imports its own folder and the shared one, a shared module its neighbors alone."""
    for module in FOLDER.glob("*/*.js"):
        if module.name == BUNDLE:
            continue
        allowed = r"\./\w+\.js" if module.parent.name == "shared" else r"(\./|\.\./shared/)\w+\.js"
        for source in re.findall(
            r'^import .* from "(.*)";', module.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert re.fullmatch(allowed, source), f"{module.parent.name}/{module.name} imports {source}"


def test_the_bundler_is_pinned_by_its_hash():
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert "node_modules/esbuild" in packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values()), "the lock names no registry"


def test_a_view_that_does_not_parse_is_named_in_one_line(tmp_path):
    (tmp_path / "view.js").write_text("export default {", encoding="utf-8")
    with pytest.raises(
        BkdError, match=f"the view of {tmp_path.name} cannot be bundled: .*view.js:1"
    ) as error:
        bundling.bundled(tmp_path)
    assert "\n" not in str(error.value)
