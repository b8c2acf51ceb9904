"""Every page can be read and worked by everybody: axe-core finds nothing, the keyboard reaches everything.

axe-core is fetched by npm, pinned by its hash in ``package-lock.json`` beside this file. No page ships it.
"""

from __future__ import annotations

import pytest
from survey import names, with_labs


@pytest.mark.parametrize("view", ["desk", "phone"])
def test_axe_finds_nothing_on_any_page(book, survey, view):
    """Both widths, both papers."""
    found = {}
    for name in names(book):
        visit = survey(name, view)
        found[name] = visit.axe + [f"{visit.too_wide} px too wide"] * (visit.too_wide > 0)
    assert {name: told for name, told in found.items() if told} == {}


@pytest.mark.parametrize("view", ["desk", "phone"])
def test_axe_finds_nothing_in_the_states_of_a_lab(book, survey, view):
    """Every lab is turned away from what its table knows, and what is folded is open."""
    found = {name: survey(name, view).axe_turned for name in with_labs(book)}
    assert {name: told for name, told in found.items() if told} == {}


@pytest.mark.parametrize("view", ["desk"])
def test_every_control_is_reached_by_tab_and_has_a_name(book, survey, view):
    for name in with_labs(book):
        visit = survey(name, view)
        assert visit.unnamed == [], name
        assert visit.n_stops > 5, name
        assert visit.unreached == [], name


@pytest.mark.parametrize("view", ["phone"])
def test_reduced_motion_is_honored(book, survey, view):
    assert {name: told for name in with_labs(book) if (told := survey(name, view).moving)} == {}
