"""Every figure computes an info value first and draws it second, with identical bytes, also for sparse data."""

import dataclasses

import pytest
from matplotlib.figure import Figure
from synthetic_records import ABLATION, write_external, write_results, write_robustness

from agrm_study.report.collect import collect
from agrm_study.report.figures import FIGURES, figure_kind
from agrm_study.report.figures.base import images, save
from agrm_study.report.measure import Measurements

COMPLETE = 8
"""Cells of the complete study: it is drawn twice in all formats, the sparse one once."""
SMALL = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")


@pytest.fixture(scope="module", params=["complete", "sparse", "empty"])
def measurements(request, tmp_path_factory):
    arms, tasks = ("AGRM", "w/o MTM", "w/o SHPM", "w/o both"), ("two_class", "three_class")
    skip = {
        "complete": [],
        "sparse": [("AGRM", "two_class", 0), *[("w/o both", t, s) for t in tasks for s in range(3)]],
        "empty": [(a, t, s) for a in arms for t in tasks for s in range(3)],
    }[request.param]
    root = tmp_path_factory.mktemp(request.param) / "r"
    write_results(root, SMALL, subjects=18, epochs=5, skip=skip)
    write_external(root)
    write_robustness(root)
    return Measurements(collect(root))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_nothing_to_draw_or_draws_its_frozen_info_the_same_each_time(measurements, name, tmp_path):
    kind = figure_kind(name)
    assert kind.name == name
    assert kind.question.endswith("?")
    assert kind.needs
    info = kind.info(measurements)
    if info is None:
        return
    assert dataclasses.is_dataclass(info)
    assert info.__dataclass_params__.frozen
    figure = kind.draw(info)
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() <= 7.4
    assert kind.caption(info).strip().endswith(".")
    complete = len(measurements.evidence.cells) == COMPLETE
    once = images(figure, ["pdf", "svg", "png"] if complete else ["svg"])
    assert [len(content) > 1000 for content in once.values()] == [True] * len(once)
    if complete:
        assert images(kind.draw(info), once) == once
        paths = save(once, tmp_path, name)
        assert [p.read_bytes() for p in paths] == list(once.values())
