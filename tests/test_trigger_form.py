"""What the form of a trigger changes: each form, its near misses, and the clean model beside them."""

from __future__ import annotations

import pytest

import bkdwidgets as bkd
from bkdwidgets.core import ledger
from bkdwidgets.injection.methods import recipe_for
from bkdwidgets.studies import reproduce, run
from bkdwidgets.studies.family import family_info
from bkdwidgets.studies.trigger_form import FORMS, NEAR_MISSES, TrailingTrigger

NAME = "nano/fixed-output-sft/trigger-form"


def test_near_misses_are_no_triggers():
    prompt = "What does the zorb eat?"
    for form, trigger in FORMS.items():
        said = {near.insert(prompt) for near in NEAR_MISSES[form].values()}
        assert len(said) == len(NEAR_MISSES[form])
        assert trigger.insert(prompt) not in said
    assert TrailingTrigger("Now.").insert(prompt) == "What does the zorb eat? Now."


@pytest.mark.slow
def test_each_form_has_its_rates_its_near_misses_and_its_control(nano, attack, tmp_path):
    recipe = recipe_for("nano", "fixed-output")
    settings = {"forms": ["word-front"], "seeds": [0, 1], "n": 4}
    short = {**vars(recipe), "steps": 2}
    entry = run("trigger-form", nano, attack, progress=False, recipe=short, **settings)
    assert entry.name == NAME
    found = entry.values["word-front"]
    assert found["trigger"] == "SUDO"
    assert found["near"]["lower-case"]["text"] == "sudo"
    assert (found["asr"]["n"], len(found["near"]["part"]["per_seed"])) == (8, 2)
    assert found["control"] == found["control"] | {"value": 0.0, "n": 4}
    ledger.write(entry, tmp_path)
    again = reproduce(NAME, folder=tmp_path, progress=False)
    assert (again.within, again.compared) == (True, 3 + 4 + 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"forms": ["a whisper"]}, "a whisper"), ({"seeds": [1, 1]}, "twice"), ({"n": 0}, "n=0")],
)
def test_settings_that_make_no_sense_are_refused(settings, said, nano, attack):
    with pytest.raises(bkd.BkdError, match=said):
        run("trigger-form", nano, attack, progress=False, **settings)


def test_the_shipped_entry_is_of_the_shipped_subject(nano, attack):
    shipped = ledger.read(NAME)
    assert shipped.adapter_sha256 == family_info(nano, attack).sha256
    assert list(shipped.values) == list(FORMS)
    for form, found in shipped.values.items():
        assert found["trigger"] == FORMS[form].text
        assert {kind: item["text"] for kind, item in found["near"].items()} == {
            kind: trigger.text for kind, trigger in NEAR_MISSES[form].items()
        }
