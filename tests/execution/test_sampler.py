"""Points are sampled from the distributions in a study file, and conditions are respected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from agrm_study.execution.dispatch.sampler import Sampler, inner, population
from agrm_study.study.search_space import Search

SPACE: dict[str, Any] = {
    "ssl.threshold.policy": {"choice": ["fixed", "freematch"]},
    "ssl.threshold.tau": {"float": [0.5, 0.99], "scale": "logit", "when": {"ssl.threshold.policy": "fixed"}},
    "optimizer.lr": {"float": [1e-5, 1e-1], "scale": "log"},
    "ssl.ramp.epochs": {"int": [0, 60], "step": 5},
    "ssl.ema.alpha": {"float": [0.9, 0.99], "step": 0.03},
    "model.pooling.bins": {"choice": {"one": [[1, 1]], "two": [[1, 1], [2, 2]]}},
    "batch.labelled": {"int": [2, 64], "scale": "log"},
    "ssl.pseudo.weight": {"float": [-1.0, 3.0]},
}


def search_of(**given: Any) -> Search:
    return Search.model_validate({"trials": 10, "sampler": "random", "space": SPACE} | given)


def draws(search: Search, count: int) -> list[dict[str, Any]]:
    sampler = Sampler(search, search.space)
    found = []
    for _ in range(count):
        draw = sampler.ask()
        found.append(draw.settings)
        sampler.tell(draw, "finished", tuple(0.5 for _ in search.metric))
    return found


def uniform(values: list[float], low: float, high: float) -> float:
    return float(stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue)


def test_each_scale_spreads_its_draws_evenly_on_itself() -> None:
    points = draws(search_of(), 400)
    taus = [p["ssl.threshold.tau"] for p in points if "ssl.threshold.tau" in p]
    logits = [float(np.log(t / (1 - t))) for t in taus]
    assert uniform(logits, 0.0, float(np.log(99))) > 1e-3
    assert uniform(list(np.log10([p["optimizer.lr"] for p in points])), -5, -1) > 1e-3
    assert uniform([p["ssl.pseudo.weight"] for p in points], -1, 3) > 1e-3
    assert {p["ssl.ramp.epochs"] for p in points} == set(range(0, 61, 5))
    assert {p["ssl.ema.alpha"] for p in points} == {0.9, 0.93, 0.96, 0.99}
    sizes = [p["batch.labelled"] for p in points]
    assert all(isinstance(size, int) for size in sizes)
    assert (min(sizes), max(sizes)) == (2, 64)
    assert np.median(sizes) < 20  # log: the middle of 2 … 64 is 11
    assert {str(p["model.pooling.bins"]) for p in points} == {"[[1, 1]]", "[[1, 1], [2, 2]]"}


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "nsga2"])
def test_a_conditional_dimension_is_drawn_only_where_its_condition_holds(sampler: str) -> None:
    for point in draws(search_of(sampler=sampler), 13):
        assert ("ssl.threshold.tau" in point) == (point["ssl.threshold.policy"] == "fixed")


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "nsga2"])
def test_equal_seeds_draw_equal_points_and_others_do_not(sampler: str) -> None:
    search = search_of(sampler=sampler)
    assert draws(search, 12) == draws(search, 12)
    assert draws(search, 3) != draws(search_of(sampler=sampler, sampler_seed=1), 3)


def test_a_point_reads_back_in_the_samplers_own_terms() -> None:
    search = search_of()
    sampler = Sampler(search, search.space)
    for _ in range(40):
        draw = sampler.ask()
        sampler.tell(draw, "failed")
        back = inner(search.space, draw.settings)
        assert back is not None
        assert back == pytest.approx(draw.drawn, rel=1e-5, abs=1e-6)
        again = sampler.replay(back)
        assert again.settings.keys() == draw.settings.keys()
        assert again.settings["optimizer.lr"] == pytest.approx(draw.settings["optimizer.lr"], rel=1e-6)
        assert again.settings["model.pooling.bins"] == draw.settings["model.pooling.bins"]


@pytest.mark.parametrize(
    "change",
    [
        {"ssl.threshold.tau": 0.4},
        {"ssl.threshold.tau": None},
        {"ssl.ema.alpha": 0.94},
        {"model.pooling.bins": [[4, 4]]},
        {"ssl.threshold.policy": "softmatch"},
        {"batch.labelled": True},
        {"clip.frames": 8},
    ],
)
def test_a_point_outside_the_space_is_told_apart(change: dict[str, Any]) -> None:
    search = search_of()
    point: dict[str, Any] = {
        "ssl.threshold.policy": "fixed",
        "ssl.threshold.tau": 0.8,
        "optimizer.lr": 1e-3,
        "ssl.ramp.epochs": 10,
        "ssl.ema.alpha": 0.93,
        "model.pooling.bins": [[1, 1]],
        "batch.labelled": 8,
        "ssl.pseudo.weight": 0.0,
    }
    assert inner(search.space, point) is not None
    assert inner(search.space, {k: v for k, v in (point | change).items() if v is not None}) is None


def test_generations_are_neither_tiny_nor_larger_than_optunas() -> None:
    assert [population(n) for n in (4, 20, 60, 1000)] == [4, 4, 12, 50]
