import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from agrm_study.statistics.estimators import hedges_g, seed_interval, summarise, wilson

VALUES = [0.91, 0.88, 0.93, 0.90, 0.87]


def test_mean_and_sample_standard_deviation_are_scipys():
    s = summarise(VALUES)
    described = stats.describe(VALUES)
    assert (s.n, s.mean) == (5, pytest.approx(described.mean))
    assert s.std == pytest.approx(math.sqrt(described.variance))


def test_one_value_has_no_standard_deviation_and_no_interval():
    assert math.isnan(summarise([0.5]).std)
    assert not seed_interval([0.5]).defined
    assert math.isnan(summarise([]).mean)


def test_a_nan_replicate_is_never_dropped_silently():
    assert math.isnan(summarise([0.5, math.nan, 0.7]).mean)


def test_seed_interval_is_students_t_interval():
    low, high = stats.t.interval(0.95, 4, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    interval = seed_interval(VALUES)
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 7), (80, 172)])
def test_wilson_interval_is_statsmodels(k, n):
    low, high = proportion_confint(k, n, method="wilson")
    interval = wilson(k, n)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


def test_wilson_refuses_more_successes_than_trials_and_is_undefined_for_none():
    with pytest.raises(ValueError, match="0 and n = 3"):
        wilson(4, 3)
    assert not wilson(0, 0).defined


def test_hedges_g_is_cohens_d_times_the_published_correction():
    # J(8) = Γ(4)/(√4·Γ(3.5)) = 6/(2·3.32335097) = 0.90270334
    a, b = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 3, 4, 5, 6])
    assert hedges_g(a, b) == pytest.approx(0.90270334 * (-1 / math.sqrt(2.5)))


def test_hedges_g_is_undefined_without_spread():
    assert math.isnan(hedges_g([0.9, 0.9], [0.8, 0.8]))
    assert math.isnan(hedges_g([0.9], [0.8, 0.7]))
