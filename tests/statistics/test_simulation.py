"""The headline interval and test in simulated studies; docs/statistics.md reports larger simulations."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from agrm_study.statistics.influence import of_decisions, of_roc_auc

STUDIES = 400
"""Standard error of a rate of 5 %: 1.1 points."""


@pytest.fixture(scope="module")
def simulation():
    """benchmarks/intervals.py and the modules beside it."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("intervals")
    sys.path.pop(0)


def test_simulated_studies_are_measured_as_the_package_measures_records(simulation):
    regimes = importlib.import_module("regimes")
    y, scores = regimes.draw(np.random.default_rng(1), regimes.Regime(), 2, 3, 40)
    for metric in ("accuracy", "macro_f1"):
        _, got = regimes.measure(metric, y, scores)
        for r in range(2):
            expected = of_decisions(y[r].astype(int), (scores[r, 0] >= 0).astype(int), 2, [metric])[metric]
            np.testing.assert_allclose(got[r, 0], expected, atol=1e-10)
    _, got = regimes.measure("roc_auc", y, scores)
    np.testing.assert_allclose(got[0, 0], of_roc_auc(y[0], scores[0, 0]), atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "regime", ["default", "seeds 2-3 x", "seeds dominate", "skewed seeds", "seeds related", "arm x subject"]
)
def test_the_interval_covers_and_differences_are_rarely_claimed_where_there_are_none(simulation, regime):
    for seeds in (3, 5):
        setting = simulation.REGIMES[regime]
        for row in simulation.coverage(regime, setting, seeds, 172, STUDIES, "confirm", False):
            if row["rule"] == "shipped":
                least = 0.90 if row["metric"] == "roc_auc" else 0.93
                assert row["rate"] > least - 2.6 * 0.013, row
        for row in simulation.errors(regime, setting, seeds, 172, STUDIES, "confirm", [0.0] * 4, False):
            if row["rule"] == "shipped":
                assert row["rate"] < 0.05 + 2.6 * 0.011, row


@pytest.mark.slow
def test_the_test_is_as_powerful_as_the_best_valid_rule_whether_seeds_are_related_or_not(simulation):
    for regime, best in (("default", "never paired"), ("seeds related", "always paired")):
        better = [0.0, simulation.POWER[regime], 0.0, 0.0]
        rows = simulation.errors(regime, simulation.REGIMES[regime], 5, 172, STUDIES, "confirm", better, False)
        power = {r["rule"]: r["rate"] for r in rows if r["metric"] == "accuracy"}
        assert power["shipped"] > power[best] - 0.05, power
