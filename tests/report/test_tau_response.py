"""The figure of thresholds: arms on the axis of τ, and arms shown next to it."""

from __future__ import annotations

import pytest
from synthetic_records import write_results

from agrm_study.report.collect import collect
from agrm_study.report.figures.tau_response import TauResponse
from agrm_study.report.measure import Measurements

HEAD = """\
name: rules
tasks: [three_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 12, unlabelled: 12}}
reference: τ=0.9
primary_metric: macro_f1
"""
TAU = """\
  - {name: τ=0.9, set: {ssl.threshold.tau: 0.9}}
  - {name: τ=0.7, set: {ssl.threshold.tau: 0.7}}
"""
METHODS = """\
  - {name: FixMatch, set: {ssl.method: fixmatch, ssl.threshold.tau: 0.9}}
  - {name: FreeMatch, set: {ssl.method: fixmatch, ssl.threshold.policy: freematch}}
"""


def info_of(folder, arms: str):
    root = write_results(folder / "rules", f"{HEAD}arms:\n{arms}", subjects=30, epochs=3)
    return TauResponse().info(Measurements(collect(root)))


def test_arms_of_other_methods_stand_next_to_the_fixed_thresholds(tmp_path) -> None:
    adaptive = "  - {name: adaptive, set: {ssl.threshold.policy: flexmatch}}\n"
    info = info_of(tmp_path, TAU + METHODS + adaptive)
    found = [(point.arm, point.tau) for point in info.points["three_class"]]
    assert found == [("τ=0.7", 0.7), ("τ=0.9", 0.9), ("adaptive", None), ("FixMatch", None), ("FreeMatch", None)]


@pytest.mark.parametrize(
    "added",
    [
        "  - {name: second series, set: {ssl.ema.alpha: 0.9, ssl.threshold.tau: 0.7}}\n"
        "  - {name: of fixed thresholds, set: {ssl.ema.alpha: 0.9, ssl.threshold.tau: 0.9}}\n",
        "",
    ],
)
def test_it_is_not_made_of_two_series_nor_of_none(tmp_path, added) -> None:
    arms = TAU + added if added else "  - {name: τ=0.9}\n  - {name: other α, set: {ssl.ema.alpha: 0.9}}\n"
    assert info_of(tmp_path, arms) is None


def test_many_rules_are_drawn_with_distinct_looks(tmp_path) -> None:
    arms = "".join(f"  - {{name: τ=0.{k}, set: {{ssl.threshold.tau: 0.{k}}}}}\n" for k in range(2, 10))
    info = info_of(tmp_path, arms + METHODS)
    figure = TauResponse().draw(info)
    lines = [line for line in figure.axes[1].lines if line.get_marker() == "None"]
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(lines) == len(looks) == 10
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert names[-2:] == ["FixMatch", "FreeMatch"]
