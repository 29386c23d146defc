import numpy as np
import pytest

from agrm_study.statistics.calibration import reliability
from agrm_study.statistics.clinical import net_benefit
from agrm_study.statistics.comparison import equivalence_p
from agrm_study.statistics.probabilities import average_by_group, decide
from agrm_study.statistics.racing import paired_p
from agrm_study.statistics.resampled import nadeau_bengio, sign_flip, wilcoxon
from agrm_study.statistics.two_way import (
    bounded_interval,
    combined,
    components,
    difference_interval,
    seeds_move_together,
    t_test,
)
from agrm_study.training.metrics import decide as decide_in_training

ROUNDED = np.array([0.1, 0.2, 0.3]).sum() - 0.6  # 1.1e-16: zero but for rounding


def test_differences_that_are_zero_but_for_rounding_are_no_difference():
    values = np.array([ROUNDED, -ROUNDED, ROUNDED])
    found = components(values, np.outer(values, np.array([1.0, -1.0] + [0.0] * 10)))
    assert float(t_test(values.mean(), found)) == 1
    assert np.isnan(difference_interval(values.mean(), found)).all()


@pytest.mark.parametrize("function", [decide, decide_in_training])
@pytest.mark.parametrize("shift", [0.0, 1e-16, -1e-16, 1.1e-16])
def test_tied_classes_are_decided_alike_whatever_rounding_did(function, shift):
    third = 1 / 3
    assert function(np.array([[third - shift, third + shift, third]])).tolist() == [0]
    assert function(np.array([[0.5 + shift, 0.5 - shift]])).tolist() == [1]


def test_calibration_bins_judge_the_decision_that_the_tables_judge():
    found = reliability(np.array([[0.5, 0.5]]), np.array([1]))
    assert np.nansum(found.accuracy * found.count) == 1


def test_one_value_at_every_seed_has_no_interval_whatever_rounding_did():
    values = 0.6 + np.array([ROUNDED, 0.0, -ROUNDED])
    found = components(values, np.zeros((3, 12)) + values[:, None] - 0.6)
    assert np.isnan(bounded_interval(values.mean(), found)).all()
    assert np.isnan(equivalence_p(ROUNDED, found, 0.1))


def test_a_contrast_of_arms_that_are_equal_but_for_rounding_has_p_1_paired_or_not():
    values, influence = np.array([0.5, 0.6, 0.7]), np.zeros((3, 12))
    equal = [(1.0, values + ROUNDED, influence), (-1.0, values, influence)]
    assert float(t_test(ROUNDED, combined(equal, paired=True))) == 1


def test_seeds_of_arms_that_differ_by_rounding_alone_move_together():
    seeds = np.array([0.4, 0.6, 0.8])
    assert seeds_move_together(np.stack([seeds, seeds + ROUNDED, seeds - ROUNDED]))
    assert not seeds_move_together(0.5 + np.array([[ROUNDED, -ROUNDED, 0.0], [0.0, ROUNDED, -ROUNDED]]))


def test_a_race_sees_no_lead_in_rounding():
    assert paired_p(np.full((1, 4), ROUNDED)).tolist() == [1.0]
    assert paired_p(np.full((1, 4), 0.1)).tolist() == [2.0**-4]


def test_exact_tests_of_differences_that_are_zero_or_tied_but_for_rounding():
    assert sign_flip([ROUNDED, -ROUNDED, ROUNDED, 0.0]).p == 1
    assert wilcoxon([ROUNDED, -ROUNDED, ROUNDED, 0.0]).p == 1
    exact = [0.25, -0.25, 0.25, 0.5, 0.5]
    rounded = np.array(exact) + np.array([1, -1, 0, 1, -1]) * 1e-16
    assert wilcoxon(rounded).p == wilcoxon(exact).p
    assert sign_flip(rounded).p == sign_flip(exact).p
    assert np.isnan(nadeau_bengio(0.25 + np.array([ROUNDED, 0.0, -ROUNDED]), 10, 5)).all()


def test_classes_that_tie_after_averaging_are_decided_alike_in_any_order_of_windows():
    windows = np.array([[0.1, 0.9], [0.7, 0.3], [0.3, 0.7], [0.9, 0.1]])
    decided = set()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]):
        probs, _ = average_by_group(windows[order], np.zeros(4), 1)
        decided.add(int(decide(probs)[0]))
        decided.add(int(decide_in_training(probs)[0]))
    assert decided == {1}


def test_a_probability_that_equals_a_threshold_but_for_rounding_is_positive_in_the_decision_curve():
    score = np.array([0.1, 0.2, 0.3]).mean() - 5e-17
    assert score < 0.2
    assert net_benefit([True, False], [[score, 0.0]], [0.2]).tolist() == [[0.5]]
