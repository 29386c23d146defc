import numpy as np
import pytest

from agrm_study.statistics.calibration import reliability
from agrm_study.statistics.probabilities import decide
from agrm_study.statistics.two_way import components, difference_interval, t_test
from agrm_study.training.metrics import decide as decide_in_training

ROUNDED = np.array([0.1, 0.2, 0.3]).sum() - 0.6  # 1.1e-16: zero but for rounding


def test_differences_that_are_zero_but_for_rounding_are_no_difference():
    values = np.array([ROUNDED, -ROUNDED, ROUNDED])
    found = components(values, np.outer(values, np.array([1.0, -1.0, 0.0, 0.0])))
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
