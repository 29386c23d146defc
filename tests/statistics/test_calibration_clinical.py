import itertools
import math

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.special import softmax as softmax_over
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from agrm_study.statistics.calibration import (
    TEMPERATURES,
    brier,
    brier_influence,
    ece_influence,
    fit_temperature,
    recalibrate,
    reliability,
)
from agrm_study.statistics.clinical import net_benefit, npv_at, ppv_at, screen, treat_all
from agrm_study.statistics.probabilities import softmax

RNG = np.random.default_rng(6)


def test_bins_are_open_below_and_closed_above():
    # With 4 bins a confidence of exactly 0.75 belongs to (0.5, 0.75]; of 0.5 to (0.25, 0.5].
    r = reliability([[0.75, 0.25], [0.5, 0.5], [0.76, 0.24], [1.0, 0.0]], [0, 0, 1, 0], bins=4)
    assert r.count.tolist() == [0, 1, 1, 2]
    # |1−.5|/4 + |1−.75|/4 + 2/4·|.5−.88|
    assert r.ece == pytest.approx(0.125 + 0.0625 + 0.19)


def test_expected_calibration_error_by_a_plain_loop():
    probs, labels = softmax(RNG.normal(size=(300, 3))), RNG.integers(0, 3, 300)
    edges, expected = np.linspace(0, 1, 16), 0.0
    for low, high in itertools.pairwise(edges):
        inside = (probs.max(1) > low) & (probs.max(1) <= high)
        if inside.any():
            gap = (probs.argmax(1) == labels)[inside].mean() - probs.max(1)[inside].mean()
            expected += inside.mean() * abs(gap)
    assert reliability(probs, labels).ece == pytest.approx(expected)


def test_brier_is_scikit_learns():
    probs, labels = softmax(RNG.normal(size=(50, 2))), RNG.integers(0, 2, 50)
    assert brier(probs, labels) == pytest.approx(2 * sk.brier_score_loss(labels, probs[:, 1]))


def log_probs_of(logits):
    return lambda temperature: log_softmax(np.asarray(logits) / temperature, axis=1)


def test_the_fitted_temperature_undoes_a_known_sharpening():
    logits = RNG.normal(size=(20_000, 3))
    labels = (softmax(logits).cumsum(1) > RNG.random((20_000, 1))).argmax(1)
    assert fit_temperature(log_probs_of(3 * logits), labels) == pytest.approx(3, rel=0.05)


def test_the_fitted_temperature_is_the_minimum_of_scikit_learns_log_loss_over_a_grid():
    """Each subject has two windows, whose probabilities are averaged."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 40)
    logits_SWK = rng.normal(size=(40, 2, 3)) + 0.8 * np.eye(3)[labels][:, None]

    def probs_at(temperature):
        return softmax_over(logits_SWK / temperature, axis=2).mean(axis=1)

    grid = np.geomspace(*TEMPERATURES, 4000)
    best = grid[np.argmin([sk.log_loss(labels, probs_at(temperature)) for temperature in grid])]
    found = fit_temperature(lambda temperature: np.log(probs_at(temperature)), labels)
    assert TEMPERATURES[0] * 1.1 < best < TEMPERATURES[1] / 1.1
    assert found == pytest.approx(best, rel=0.005)


@pytest.mark.parametrize("margin", [40, 400, 4000])
def test_certain_and_correct_logits_identify_no_temperature(margin):
    """exp(-margin / T) is 0 in double precision up to some T, so the log-loss is 0 over a whole range."""
    labels = np.arange(12) % 2
    assert fit_temperature(log_probs_of(margin * np.eye(2)[labels]), labels) is None


def test_screening_counts_and_shares():
    labels, predicted = [1, 1, 1, 0, 0], [[1, 1, 0, 0, 1], [0, 0, 0, 0, 0]]
    first, second = screen(labels, predicted)
    assert (first.tp, first.fp, first.fn, first.tn) == (2, 1, 1, 1)
    assert (first.sensitivity, first.specificity, first.ppv, first.npv) == (2 / 3, 0.5, 2 / 3, 0.5)
    assert math.isnan(second.ppv)
    assert not second.intervals()["ppv"].defined


def test_predictive_values_follow_bayes():
    # sensitivity .9, specificity .8, prevalence .1: PPV = .09/(.09 + .18), NPV = .72/(.72 + .01)
    assert ppv_at(0.9, 0.8, 0.1) == pytest.approx(1 / 3)
    assert npv_at(0.9, 0.8, 0.1) == pytest.approx(72 / 73)
    # At the test set's own prevalence they are the observed ones.
    s = screen([1, 1, 1, 0, 0], [[1, 1, 0, 0, 1]])[0]
    assert ppv_at(s.sensitivity, s.specificity, 0.6) == pytest.approx(s.ppv)
    with pytest.raises(ValueError, match="prevalence"):
        ppv_at(0.9, 0.8, 1.1)


def test_net_benefit_is_vickers_formula_and_treating_all_its_limit():
    positive = np.array([True, True, False, False, False])
    scores = np.array([[0.9, 0.4, 0.6, 0.2, np.nan]])
    # at t = .5: TP 1, FP 1 of 4 evaluated: 1/4 − 1/4·(.5/.5) = 0; at t = .1: TP 2, FP 2: 2/4 − 2/4·(1/9)
    np.testing.assert_allclose(net_benefit(positive, scores, [0.5, 0.1]), [[0.0, 0.5 - 0.5 / 9]])
    np.testing.assert_allclose(treat_all(0.5, [0.1]), [0.5 - 0.5 / 9])


def test_influence_on_brier_and_ece_is_the_jackknife_of_the_score():
    rng = np.random.default_rng(2)
    probs, labels = rng.dirichlet([1, 1, 1], 30), rng.integers(0, 3, 30)
    for score, influence in ((brier, brier_influence), (lambda p, y: reliability(p, y).ece, ece_influence)):
        whole = score(probs, labels)
        left = [score(np.delete(probs, i, 0), np.delete(labels, i)) for i in range(30)]
        np.testing.assert_allclose(influence(probs, labels), 29 * (whole - np.array(left)), atol=1e-12)


def test_slope_and_intercept_are_a_logistic_regressions_and_perfect_ones_are_1_and_0():
    rng = np.random.default_rng(4)
    z = rng.normal(0, 1.5, 4000)
    p = 1 / (1 + np.exp(-z))
    y = rng.random(4000) < p
    found = recalibrate(y, p)
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(z[:, None], y)
    assert found.slope == pytest.approx(fit.coef_[0, 0], rel=1e-4)
    assert (found.slope, found.intercept) == (pytest.approx(1, abs=0.1), pytest.approx(0, abs=0.1))
    overconfident = recalibrate(y, 1 / (1 + np.exp(-2 * z)))
    assert overconfident.slope == pytest.approx(found.slope / 2, rel=1e-4)


def test_influence_on_the_slope_is_nearly_what_leaving_a_subject_out_does():
    rng = np.random.default_rng(5)
    z = rng.normal(0, 1.5, 300)
    p, y = 1 / (1 + np.exp(-z)), rng.random(300) < 1 / (1 + np.exp(-z))
    found = recalibrate(y, p)
    for i in range(0, 300, 60):
        left = recalibrate(np.delete(y, i), np.delete(p, i))
        assert found.slope_influence[i] == pytest.approx(299 * (found.slope - left.slope), abs=0.1)
        assert found.intercept_influence[i] == pytest.approx(299 * (found.intercept - left.intercept), abs=0.1)


def test_scores_that_separate_the_classes_have_no_slope():
    assert recalibrate([True, True, False], [0.9, 0.8, 0.1]) is None
    assert recalibrate([False, False, True, True], [0.9, 0.8, 0.2, 0.1]) is None
    assert recalibrate([True, True], [0.9, 0.8]) is None
