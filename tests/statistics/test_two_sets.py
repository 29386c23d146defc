"""Differences between two sets of subjects that the same networks were evaluated on."""

import numpy as np
import pytest
from scipy import stats

from agrm_study.statistics.comparison import Scored
from agrm_study.statistics.two_sets import compare_sets, components_of_sets
from agrm_study.statistics.two_way import difference_interval

RNG = np.random.default_rng(21)


def scored(right_SN, seeds=None):
    values_S = right_SN.mean(axis=-1)
    return Scored(
        seeds=tuple(range(len(values_S)) if seeds is None else seeds),
        values_S=values_S,
        influence_SN=right_SN - right_SN.mean(axis=-1, keepdims=True),
    )


def test_with_networks_that_all_decide_alike_the_interval_is_welchs():
    one, other = RNG.random(40), RNG.random(25)
    difference = compare_sets(scored(np.tile(one, (400, 1))), scored(np.tile(other, (400, 1))))
    welch = stats.ttest_ind(one, other, equal_var=False)
    half = (difference.interval.high - difference.interval.low) / 2
    error = np.sqrt(one.var(ddof=1) / one.size + other.var(ddof=1) / other.size)
    assert difference.delta == pytest.approx(one.mean() - other.mean())
    assert float(np.sqrt(difference.components.variance)) == pytest.approx(error)
    assert error == pytest.approx(welch.statistic and (one.mean() - other.mean()) / welch.statistic)
    assert half / error == pytest.approx(stats.t.ppf(0.975, difference.components.df), rel=1e-6)


def test_a_shift_that_all_subjects_share_at_each_seed_gives_the_paired_t_interval_over_seeds():
    shared_S, shift_S = RNG.normal(size=6), RNG.normal(size=6)
    one = (0.5 + 0.01 * (shared_S + shift_S))[:, None] + np.zeros((6, 30))
    other = (0.4 + 0.01 * shared_S)[:, None] + np.zeros((6, 20))
    difference = compare_sets(scored(one), scored(other))
    expected = stats.ttest_rel(one.mean(axis=1), other.mean(axis=1)).confidence_interval(0.95)
    assert (difference.interval.low, difference.interval.high) == pytest.approx((expected.low, expected.high))


def test_only_seeds_that_both_sets_have_count_and_one_seed_gives_no_interval():
    one, other = RNG.random((3, 20)), RNG.random((3, 15))
    difference = compare_sets(scored(one, (0, 1, 2)), scored(other, (2, 1, 7)))
    assert difference.n == 2
    assert difference.delta == pytest.approx(one[1:].mean() - other[[1, 0]].mean())
    alone = compare_sets(scored(one, (0, 1, 2)), scored(other, (2, 8, 9)))
    assert alone.n == 1
    assert not alone.interval.defined


def test_there_is_no_interval_for_fewer_subjects_than_a_variance_needs():
    assert components_of_sets(RNG.random(4), RNG.random((4, 30)), RNG.random(4), RNG.random((4, 9))) is None


@pytest.mark.parametrize(
    ("seed_sd", "shared", "n", "m"),
    [(0.02, 0.0, 60, 100), (0.3, 0.0, 60, 100), (0.3, 0.9, 40, 40), (1.0, 0.5, 60, 30), (1.0, 1.0, 200, 200)],
)
def test_the_interval_covers_the_true_difference_in_simulated_studies(seed_sd, shared, n, m):
    """Latent normal skills: seeds act on both sets with a correlation, people of the two sets are independent."""
    studies, s, margin = 1500, 5, (0.9, 0.4)
    rng = np.random.default_rng([int(100 * seed_sd), int(10 * shared), n, m])
    common = rng.normal(size=(studies, s))
    right, truth = [], []
    for size, skill in zip((n, m), margin, strict=True):
        own = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=(studies, s))
        people = rng.normal(size=(studies, 1, size))
        noise = rng.normal(0, 0.7, size=(studies, s, size))
        right.append((skill + seed_sd * own[..., None] + people + noise > 0).astype(float))
        truth.append(stats.norm.cdf(skill / np.sqrt(seed_sd**2 + 1 + 0.49)))
    values = [x.mean(axis=-1) for x in right]
    influence = [x - x.mean(axis=-1, keepdims=True) for x in right]
    found = components_of_sets(values[0], influence[0], values[1], influence[1])
    low, high = difference_interval(values[0].mean(axis=-1) - values[1].mean(axis=-1), found)
    covered = ((low <= truth[0] - truth[1]) & (truth[0] - truth[1] <= high)).mean()
    assert covered >= 0.935  # 95 % less 2.5 standard errors of 1,500 studies


def test_two_halves_of_one_population_differ_significantly_in_about_five_percent_of_studies():
    rng = np.random.default_rng(6)
    rejected = []
    for _ in range(600):
        seeds, people = rng.normal(0, 0.4, size=(5, 1)), rng.normal(size=(1, 60))
        right = (0.8 + seeds + people + rng.normal(0, 0.7, size=(5, 60)) > 0).astype(float)
        rejected.append(compare_sets(scored(right[:, :25]), scored(right[:, 25:])).p < 0.05)
    assert 0.025 <= np.mean(rejected) <= 0.065
