"""Thresholds for a required sensitivity or specificity agree with scikit-learn's ROC curve."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from agrm_study.statistics.operating import threshold_for


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("least", [0.5, 0.8, 0.95, 1.0])
def test_the_threshold_is_the_point_of_the_roc_curve_that_costs_least(seed, least):
    rng = np.random.default_rng(seed)
    positive = rng.random(40) < 0.4
    scores = np.round(np.clip(rng.normal(0.45 + 0.2 * positive, 0.2), 0, 1), 2)  # with ties
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    t = threshold_for(positive, scores, "sensitivity", least)
    found = (scores[positive] >= t).mean(), (scores[~positive] >= t).mean()
    assert found[0] >= least - 1e-12
    assert found[1] == pytest.approx(fpr[tpr >= least - 1e-12].min())
    t = threshold_for(positive, scores, "specificity", least)
    found = (scores[positive] >= t).mean(), (scores[~positive] >= t).mean()
    assert 1 - found[1] >= least - 1e-12
    assert found[0] == pytest.approx(tpr[1 - fpr >= least - 1e-12].max())


def test_a_share_that_equals_the_required_one_but_for_rounding_reaches_it():
    positive = np.array([True] * 10 + [False] * 10)
    scores = np.concatenate([np.arange(10) / 10 + 0.05, np.zeros(10)])
    assert threshold_for(positive, scores, "sensitivity", 0.1 + 0.2) == pytest.approx(0.75)  # 0.30000000000000004


def test_one_class_alone_gives_no_threshold():
    assert threshold_for([True, True], [0.2, 0.8], "sensitivity", 0.9) is None
    assert threshold_for([False, False], [0.2, 0.8], "specificity", 0.9) is None
