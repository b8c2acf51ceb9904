"""What all rooms share: it needs nothing heavy, and its statistics are those of the reference."""

from __future__ import annotations

import ast
import dataclasses
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import bkdwidgets as bkd
import bkdwidgets.core
from bkdwidgets.attacks.clean_answers import compute_answers
from bkdwidgets.browser.vectors import compute_vectors
from bkdwidgets.core import heads, ledger, paths, statistics, theme, vocabulary
from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.html import html_table
from bkdwidgets.studies.sweep import sweep
from bkdwidgets.subjects.nano.train import train

PACKAGE = Path(bkdwidgets.__file__).parent
HOSTILE = '<img src=x onerror=alert(1)>"&'
HEAVY = ("torch", "transformers", "plotly", "ipywidgets", "sklearn", "scipy")


@pytest.mark.slow
def test_the_core_needs_nothing_heavy():
    rooms = [f"bkdwidgets.core.{module.name}" for module in pkgutil.iter_modules(bkdwidgets.core.__path__)]
    assert len(rooms) > 5
    code = f"import sys, importlib; [importlib.import_module(name) for name in {rooms}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 50), (17, 40), (199, 200)])
def test_the_interval_of_a_share_is_that_of_scipy(hits, n):
    ours = statistics.wilson(hits, n)
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (ours.value, ours.n) == (hits / n, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("n", [1, 16, 200])
def test_the_intervals_of_many_shares_are_those_of_each(n):
    low, high = statistics.wilson_ends(np.arange(n + 1) / n, n)
    rates = [statistics.wilson(count, n) for count in range(n + 1)]
    assert low.tolist() == [rate.low for rate in rates]
    assert high.tolist() == [rate.high for rate in rates]


@pytest.mark.parametrize("n", [25, 60])
def test_the_interval_of_a_mean_is_that_of_scipy(n):
    values = np.random.default_rng(n).exponential(size=n)
    ours = statistics.bootstrap_mean(values.tolist())
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    error = values.std() / n**0.5
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.15 * error)
    means = statistics.bootstrap_counts(n, 20_000, seed=0) @ values / n
    assert statistics.percentiles(means) == pytest.approx((theirs.low, theirs.high), abs=0.15 * error)


def test_draws_are_with_replacement_and_share_their_axis():
    counts = statistics.bootstrap_counts(7, 50, seed=3)
    assert counts.shape == (50, 7)
    assert (counts.sum(1) == 7).all()
    assert counts.max() > 1
    assert (counts == statistics.bootstrap_counts(7, 50, seed=3)).all()
    low, high = statistics.percentiles(np.stack([np.arange(101.0), np.arange(101.0) * 2], axis=1))
    assert (low.tolist(), high.tolist()) == ([2.5, 5.0], [97.5, 195.0])


def test_a_head_has_a_name_and_the_name_a_head():
    pairs = [(0, 0), (12, 3), (29, 8)]
    assert heads.names_of(pairs) == ["L0H0", "L12H3", "L29H8"]
    assert heads.heads_of(heads.names_of(pairs)) == pairs
    for name in ("", "L1", "H1L2", "L1H", "L-1H2", "L1H2 ", "l1h2", "L\u0661H2", None, 3):
        with pytest.raises(BkdError, match="is not the name of a head"):
            heads.head_of(name)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([(1, 2), (1, 2)], "L1H2 is named twice"),
        ([(1,)], "not a list of"),
        ([(1.5, 2)], "not a list of"),
        (3, "not a list of"),
        ([(-1, 2)], "not a list of"),
        ([(4, 0)], "L4H0 is out of range; nano has layers 0 to 3, heads 0 to 7"),
        ([(0, 8)], "L0H8 is out of range"),
    ],
)
def test_what_is_no_set_of_heads_is_one_line(given, said):
    with pytest.raises(BkdError, match=said) as error:
        heads.check_inside(heads.once_each("heads", given), (4, 8), "nano")
    assert "\n" not in str(error.value)


def test_every_outcome_has_a_color_and_a_word_of_its_own():
    assert {item.color for item in vocabulary.OUTCOMES} <= set(theme.COLORS)
    for part in ("letter", "word", "shape", "color"):
        assert len({getattr(item, part) for item in vocabulary.OUTCOMES}) == 4
    assert vocabulary.LETTERS == tuple(vocabulary.WORDS) == ("P", "p", "=", "?")


def test_a_table_writes_everything_as_text():
    table = html_table(HOSTILE, [HOSTILE], [[HOSTILE, 1.5], [None]], named_rows=True)
    assert "<img" not in table
    assert table.count("&lt;img src=x onerror=alert(1)&gt;&quot;&amp;") == 3
    assert "<tr><th>None</th></tr>" in table
    assert "thead" not in html_table("", (), [[1]])


@pytest.mark.slow
def test_names_of_an_adapter_are_text_in_every_table(poisoned_nano, attack):
    """Its JSON may have been written by anybody."""
    small = {"progress": False}
    results = [
        bkd.measure(poisoned_nano, attack, n=2, **small),
        bkd.attribute(poisoned_nano, attack, prompts=2, **small),
        bkd.attribute_mlp(poisoned_nano, attack, prompts=2, **small),
    ]
    named = [dataclasses.replace(item, adapter=HOSTILE) for item in results]
    stored = ledger.read("nano/fixed-output-sft-0/measure")
    named += [dataclasses.replace(stored, adapter=HOSTILE)]
    effects = [dataclasses.replace(results[1], adapter=name) for name in (HOSTILE, "other")]
    named += [bkd.seed_agreement(effects, k=2)]
    for item in named:
        assert "<img" not in item._repr_html_(), type(item)
        assert "&lt;img" in item._repr_html_(), type(item)


def test_no_table_is_written_by_hand():
    """What is escaped by one function can not be forgotten by another."""
    written = [
        f"{path.relative_to(PACKAGE)}:{part.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for part in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
        if any(tag in part.value for tag in ("<td>", "<tr>", "<table>"))
    ]
    assert all(place.startswith("core/html.py") for place in written), written


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package as a wheel lays it out, its data inside."""
    package = tmp_path / "site-packages" / "bkdwidgets"
    (package / "_data").mkdir(parents=True)
    monkeypatch.setattr(paths, "_PACKAGE", package)
    return package


def test_nothing_is_written_into_an_installed_package(installed, nano, poisoned_nano, attack, tmp_path):
    entry = ledger.Entry(
        subject="nano", adapter="x", study="measure", adapter_sha256="", attack="fixed-output", seed=0,
        split="test", n=1, settings={}, inputs={}, values={}, tolerance={},
    )  # fmt: skip
    for write in (
        lambda: ledger.write(entry),
        lambda: compute_answers(nano, progress=False),
        lambda: compute_vectors(poisoned_nano, attack),
        lambda: train(steps=1, progress=False),
        lambda: sweep("nano", "fixed-output", progress=False),
    ):
        with pytest.raises(BkdError, match="belongs to the installed package") as error:
            write()
        assert "\n" not in str(error.value)
    assert [path.name for path in installed.rglob("*")] == ["_data"]
    assert ledger.write(entry, tmp_path / "own").is_file()
