"""Recalibration by cross-fitting: each subject is evaluated with a fit on the other subjects."""

import numpy as np
import pytest
from scipy.special import expit, logit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from agrm_study.statistics.calibration import brier, recalibrate
from agrm_study.statistics.cross_fitted import cross_fitted, fold_of


def two_classes(n=200, slope=2.5, shift=1.0):
    """Overconfident and shifted probabilities of outcomes drawn from the true ones."""
    rng = np.random.default_rng(4)
    z = rng.normal(size=n)
    labels = (rng.random(n) < expit(z)).astype(int)
    positive = expit(slope * z + shift)
    return np.column_stack([1 - positive, positive]), labels


def test_two_classes_get_the_predictions_of_an_unpenalised_logistic_regression_on_the_other_folds():
    probs, labels = two_classes()
    folds = PredefinedSplit(fold_of(labels, 2, 5))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    expected = cross_val_predict(model, logit(probs[:, [1]]), labels, cv=folds, method="predict_proba")
    assert cross_fitted(probs, labels) == pytest.approx(expected, abs=1e-5)


def test_refitting_brings_slope_and_intercept_near_their_ideals_and_lowers_the_brier_score():
    probs, labels = two_classes(n=1000)
    refitted = cross_fitted(probs, labels)
    before, after = recalibrate(labels, probs[:, 1]), recalibrate(labels, refitted[:, 1])
    assert abs(before.slope - 1) > 0.4
    assert (after.slope, after.intercept) == pytest.approx((1, 0), abs=0.1)
    assert brier(refitted, labels) < brier(probs, labels)


def test_more_classes_get_a_temperature_which_keeps_every_decision():
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(300, 3))
    labels = np.array([rng.choice(3, p=p) for p in softmax(logits, axis=1)])
    sharp = softmax(4 * logits, axis=1)
    refitted = cross_fitted(sharp, labels)
    assert (refitted.argmax(axis=1) == sharp.argmax(axis=1)).all()
    assert refitted.sum(axis=1) == pytest.approx(1)
    assert brier(refitted, labels) == pytest.approx(brier(softmax(logits, axis=1), labels), abs=0.01)


def test_nothing_is_fitted_where_a_class_is_smaller_than_the_folds_or_the_scores_separate_the_classes():
    probs, labels = two_classes()
    few = np.flatnonzero(labels == 1)[4:]
    assert cross_fitted(np.delete(probs, few, axis=0), np.delete(labels, few)) is None
    assert cross_fitted(probs, (probs[:, 1] > 0.5).astype(int)) is None


def test_folds_are_stratified():
    labels = np.repeat([0, 1], [37, 13])
    folds = fold_of(labels, 2, 5)
    for label in (0, 1):
        sizes = np.bincount(folds[labels == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
