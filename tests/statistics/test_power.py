"""Power and smallest detectable difference, against statsmodels and against simulated studies."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from agrm_study.statistics.power import assumed, power_of, smallest_detectable
from agrm_study.statistics.two_way import Components, combined, t_test

ROOT = Path(__file__).resolve().parents[2]


def subjects_alone(n, sd=1.0):
    """Components of a mean over n subjects that vary with a standard deviation, without seeds."""
    return Components(
        seeds=0.0, subjects=sd**2 / n, interaction=0.0, seed_df=math.inf, subject_df=n - 1.0, n_seeds=2, n_subjects=n
    )


@pytest.mark.parametrize("n", [5, 20, 172])
@pytest.mark.parametrize("effect", [0.05, 0.1, 0.4])
@pytest.mark.parametrize("level", [0.05, 0.05 / 3])
def test_power_is_that_of_the_noncentral_t(n, effect, level):
    wanted = TTestPower().power(effect, n, level)
    assert power_of(effect, subjects_alone(n), level) == pytest.approx(wanted, abs=1e-7)  # scipy 1.13: 1.6e-8 apart


@pytest.mark.parametrize("n", [5, 20, 172])
def test_the_smallest_detectable_difference_has_the_power_that_it_claims(n):
    wanted = TTestPower().solve_power(effect_size=None, nobs=n, alpha=0.05, power=0.8)
    assert smallest_detectable(subjects_alone(n)) == pytest.approx(wanted, rel=1e-5)


def test_without_any_variance_nothing_is_claimed():
    none = subjects_alone(10, sd=0.0)
    assert math.isnan(power_of(0.1, none))
    assert math.isnan(smallest_detectable(none))


def test_assumptions_give_the_variance_of_a_difference_of_two_accuracies():
    rng = np.random.default_rng(0)
    seeds, subjects, sd, disagreement = 5, 100, 0.04, 0.2
    wrong = rng.random((50_000, subjects)) < disagreement  # one of the two is right, either with probability 1/2
    delta = np.where(wrong, rng.choice([-1, 1], wrong.shape), 0).mean(axis=1)
    arms = rng.normal(0, sd, (2, seeds, len(delta))).mean(axis=1)
    spread = (delta + arms[0] - arms[1]).var()
    assert float(assumed(sd, disagreement, seeds=seeds, subjects=subjects).variance) == pytest.approx(spread, rel=0.02)


def test_projected_seeds_and_subjects_divide_their_own_variance():
    c = assumed(0.04, 0.2, seeds=5, subjects=100)
    more = c.projected(seeds=2, subjects=4)
    other = assumed(0.04, 0.2, seeds=10, subjects=400)
    assert float(more.variance) == pytest.approx(float(other.variance))
    assert float(more.df) == pytest.approx(float(other.df), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("default", 0.6), ("seeds 2-3 x", 1.2), ("seeds dominate", 1.2), ("10 % prevalence", 0.9),
        ("arm x subject", 0.9), ("strong interaction", 1.2),
    ],
)  # fmt: skip
def test_power_agrees_with_simulated_studies_within_15_percent(name, better, monkeypatch):
    spec = importlib.util.spec_from_file_location("regimes", ROOT / "benchmarks" / "regimes.py")
    regimes = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "regimes", regimes)  # dataclasses look their module up
    spec.loader.exec_module(regimes)
    rng = np.random.default_rng(7)
    y, scores = regimes.draw(rng, regimes.REGIMES[name], 2000, 5, 172, (0.0, better))
    right = ((scores > 0) == y[:, None, None, :]).astype(float)
    values = right.mean(axis=-1)
    c = combined([(1.0, values[:, 1], right[:, 1]), (-1.0, values[:, 0], right[:, 0])], paired=False)
    delta = (values[:, 1] - values[:, 0]).mean(axis=-1)
    found = float((t_test(delta, c) < 0.05).mean())
    fields = ("seeds", "subjects", "interaction", "seed_df", "subject_df")
    expected = Components(
        **{k: float(np.nanmean(getattr(c, k))) for k in fields}, n_seeds=c.n_seeds, n_subjects=c.n_subjects
    )
    assert power_of(float(delta.mean()), expected) == pytest.approx(found, rel=0.15)
