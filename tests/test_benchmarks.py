"""The benchmarks: two methods that agree, one that is timed, and the figure of how cost grows."""

from __future__ import annotations

import pytest

from bkdwidgets.bench.acie import bench_acie
from bkdwidgets.bench.scaling import plot_scaling
from bkdwidgets.bench.screen import bench_screen
from bkdwidgets.cli import main

ADAPTER = "fixed-output-sft-0"


@pytest.mark.slow
def test_the_plain_method_of_the_benchmark_agrees_with_the_replay(attack, capsys):
    found = bench_acie("nano", attack, adapter=ADAPTER, prompts=1, heads=3, repeats=1)
    assert found["float32"]["max_difference"] <= 1e-5
    assert found["float32"]["layer_token_ratio"] > 10
    assert found["bfloat16"]["same_top_8"] >= 7
    assert main(["bench", "--only", "tea"]) == 2
    assert "scaling" in capsys.readouterr().err
    assert main(["bench", "--only", "screen-smollm2", "--plot", "scaling.html"]) == 2
    assert "--plot draws" in capsys.readouterr().err


def test_the_screen_is_timed_in_forward_passes_and_scaling_is_drawn(attack, tmp_path):
    found = bench_screen("nano", attack, adapter=ADAPTER, prompts=2, repeats=1)
    assert found["forward_equivalents"] > 0
    assert set(found["seconds_per_prompt"]) == {"screen", "forward", "forward_batched"}
    curve = {"counts": [1, 2, 4], "seconds": [0.1, 0.2, 0.4], "exponent_upper_half": 1.0}
    plot_scaling({"subject": "nano", "prompts": curve}, tmp_path / "scaling.html")
    assert "slope 1.0" in (tmp_path / "scaling.html").read_text(encoding="utf-8")
