"""Influence values against numerical derivatives, leave-one-out with scikit-learn, and DeLong's variance."""

import numpy as np
import pytest
from sklearn import metrics as sk

from agrm_study.statistics.influence import of_average_precision, of_decisions, of_roc_auc

RNG = np.random.default_rng(3)
N = 40
LABELS = np.arange(N) % 3
PREDICTED = np.where(RNG.random((4, N)) < 0.7, LABELS, RNG.integers(0, 3, (4, N)))
POSITIVE = RNG.random(N) < 0.4
SCORES = np.round(RNG.random((3, N)) + 0.3 * POSITIVE, 1)  # with ties

SKLEARN = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "macro_f1": lambda y, d: sk.f1_score(y, d, average="macro"),
    "macro_precision": lambda y, d: sk.precision_score(y, d, average="macro", zero_division=0),
    "macro_recall": lambda y, d: sk.recall_score(y, d, average="macro"),
}


@pytest.mark.parametrize("name", SKLEARN)
def test_influence_on_decisions_is_the_jackknife_of_scikit_learn(name):
    got = of_decisions(LABELS, PREDICTED, 3, [name])[name]
    for s in range(4):
        whole = SKLEARN[name](LABELS, PREDICTED[s])
        without = [SKLEARN[name](np.delete(LABELS, i), np.delete(PREDICTED[s], i)) for i in range(N)]
        np.testing.assert_allclose(got[s], (N - 1) * (whole - np.array(without)), atol=1e-12)


def test_influence_on_accuracy_is_hit_minus_accuracy():
    hits = PREDICTED == LABELS
    got = of_decisions(LABELS, PREDICTED, 3, ["accuracy"])["accuracy"]
    np.testing.assert_allclose(got, hits - hits.mean(1, keepdims=True), atol=1e-12)


def test_a_subject_that_a_seed_did_not_evaluate_has_no_influence_there():
    predicted = PREDICTED.copy()
    predicted[1, :10] = -1
    got = of_decisions(LABELS, predicted, 3, ["accuracy"])["accuracy"][1]
    assert not got[:10].any()
    hits = (predicted[1] == LABELS)[10:]
    np.testing.assert_allclose(got[10:], (hits - hits.mean()) * N / 30, atol=1e-12)


def test_influence_is_undefined_where_a_class_has_a_single_subject():
    labels = np.array([0] * 9 + [1])
    assert np.isnan(of_decisions(labels, labels[None], 2, ["macro_f1"])["macro_f1"]).any()


@pytest.mark.parametrize("function", [of_roc_auc, of_average_precision])
def test_areas_under_curves_need_ten_subjects_of_each_class(function):
    for few in (np.arange(40) < 9, np.arange(40) >= 9):
        assert np.isnan(function(few, RNG.random((2, 40)))).all()
    assert np.isfinite(function(np.arange(40) < 10, RNG.random((2, 40)))).all()


@pytest.mark.parametrize(
    ("function", "reference"),
    [(of_average_precision, sk.average_precision_score), (of_roc_auc, sk.roc_auc_score)],
)
def test_influence_on_a_ranking_is_the_derivative_of_scikit_learns_weighted_metric(function, reference):
    got, step = function(POSITIVE, SCORES), 1e-5
    for s in range(3):
        whole = reference(POSITIVE, SCORES[s])
        moved = [reference(POSITIVE, SCORES[s], sample_weight=1 + step * (np.arange(N) == i)) for i in range(N)]
        np.testing.assert_allclose(got[s], N * (np.array(moved) - whole) / step, atol=1e-4)


def test_the_variance_of_the_area_under_the_roc_curve_is_delongs():
    x, y = SCORES[0][POSITIVE], SCORES[0][~POSITIVE]
    psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    m, n = psi.shape
    delong = psi.mean(1).var() / m + psi.mean(0).var() / n  # plug-in (ddof 0) form
    u = of_roc_auc(POSITIVE, SCORES)[0]
    assert np.square(u).sum() / N**2 == pytest.approx(delong)
