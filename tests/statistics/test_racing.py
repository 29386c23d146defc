"""A race drops arms that are significantly worse, keeps the best, and respects its error level."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from agrm_study.statistics.racing import drop, limit, looks, paired_p, race, seeds_used


def test_the_paired_p_is_scipys():
    rng = np.random.default_rng(0)
    d = rng.normal(0.02, 0.03, (5, 6))
    ours = paired_p(d)
    theirs = [stats.ttest_1samp(row, 0, alternative="greater").pvalue for row in d]
    assert ours == pytest.approx(theirs)


def test_seeds_that_an_arm_does_not_have_do_not_count():
    d = np.array([0.1, np.nan, 0.2, 0.15, np.nan])
    assert paired_p(d)[0] == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.15], 0, alternative="greater").pvalue)


def test_fewer_than_three_pairs_decide_nothing():
    assert paired_p([0.5, 0.6, np.nan])[0] == 1.0


def test_equal_differences_are_judged_by_their_sign_alone():
    assert paired_p([0.1, 0.1, 0.1, 0.1])[0] == pytest.approx(0.5**4)
    assert paired_p([0.0, 0.0, 0.0])[0] == 1.0
    assert paired_p([-0.1, -0.1, -0.1])[0] == 1.0


def test_an_arm_loses_to_the_rival_that_beats_it_most_surely():
    values = [[0.5, 0.51, 0.49], [0.9, 0.7, 0.8], [0.8, 0.812, 0.788]]
    (out,) = drop(values, [0, 1, 2], 0.01)
    assert (out.arm, out.rival, out.n) == (0, 2, 3)
    assert out.difference == pytest.approx(0.3)


def test_an_arm_that_must_stay_stays():
    values = [[0.5, 0.51, 0.49], [0.8, 0.809, 0.791]]
    assert [out.arm for out in drop(values, [0, 1], 0.05)] == [0]
    assert drop(values, [0, 1], 0.05, keep=[0]) == []


def test_arms_that_are_out_beat_nobody():
    values = [[0.5, 0.51, 0.49], [0.8, 0.81, 0.79], [0.2, 0.209, 0.191]]
    assert [out.arm for out in drop(values, [0, 2], 0.05)] == [2]


def test_never_all_arms_go_out():
    x = np.nan  # each beats the next on other seeds
    values = [
        [0.9, 0.91, 0.9, x, x, x, 0.1, 0.11, 0.1],
        [0.1, 0.1, 0.1, 0.9, 0.91, 0.9, x, x, x],
        [x, x, x, 0.1, 0.1, 0.1, 0.9, 0.9, 0.91],
    ]
    assert drop(values, [0, 1, 2], 0.05) == []


def test_looks_end_before_the_last_seed():
    assert looks(3, 10) == (3, 4, 5, 6, 7, 8, 9)
    assert looks(3, 10, 3) == (3, 6, 9)
    assert looks(4, 5) == (4,)


@pytest.mark.parametrize(("first", "most", "step"), [(2, 10, 1), (3, 3, 1), (3, 5, 0)])
def test_a_race_without_sense_is_refused(first, most, step):
    with pytest.raises(ValueError, match="3 ≤ first < most"):
        looks(first, most, step)


def test_the_level_is_shared_among_looks_and_rivals():
    assert limit(0.05, 6, 7) * 7 * 5 == pytest.approx(0.05)


def test_a_race_is_its_looks_one_after_the_other():
    rng = np.random.default_rng(3)
    values = np.array([[0.8], [0.79], [0.7], [0.5]]) + rng.normal(0, 0.02, (4, 10))
    outs = race(values, first=3, most=10, level=0.05)
    inside, each = {0, 1, 2, 3}, limit(0.05, 4, 7)
    for n in range(3, 10):
        gone = {out.arm: (n, out) for out in drop(values[:, :n], inside, each)}
        assert {arm: found for arm, found in outs.items() if found[0] == n} == gone
        inside -= gone.keys()
    assert 3 in outs
    assert seeds_used(outs, 4, 10) == sum(outs[arm][0] if arm in outs else 10 for arm in range(4)) < 40


@pytest.mark.slow
def test_the_best_arm_goes_out_no_more_often_than_stated_and_trials_are_saved():
    file = Path(__file__).parents[2] / "benchmarks" / "racing.py"
    simulate = runpy.run_path(str(file))["simulate"]
    for subjects in (12, 30, 100):
        found = simulate(races=500, subjects=subjects)
        # four arms a race, which depend on each other: the standard error of a rate of 5 % is below 1 point
        assert found["error_equal"] < 0.05 + 2 * 0.01, subjects
        assert found["error_apart"] < 0.05, subjects
        assert found["saved_apart"] > max(0.05, found["saved_equal"]), subjects
