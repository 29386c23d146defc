import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from agrm_study.statistics import classification as c
from agrm_study.statistics.probabilities import average_by_group, decide, softmax

RNG = np.random.default_rng(3)


def data(k=3, n=120, seeds=4):
    labels = RNG.integers(0, k, n)
    predicted = np.where(RNG.random((seeds, n)) < 0.6, labels, RNG.integers(0, k, (seeds, n)))
    return labels, predicted


@pytest.mark.parametrize("k", [2, 3])
def test_metrics_of_every_seed_are_scikit_learns(k):
    labels, predicted = data(k)
    counts = c.count(labels, predicted, k)
    expected = {
        "accuracy": lambda y, p: sk.accuracy_score(y, p),
        "balanced_accuracy": lambda y, p: sk.balanced_accuracy_score(y, p),
        "macro_precision": lambda y, p: sk.precision_score(y, p, average="macro"),
        "macro_recall": lambda y, p: sk.recall_score(y, p, average="macro"),
        "macro_f1": lambda y, p: sk.f1_score(y, p, average="macro"),
    }
    assert set(expected) == set(c.METRICS)
    for name, reference in expected.items():
        np.testing.assert_allclose(c.METRICS[name](counts), [reference(labels, p) for p in predicted], atol=1e-14)
    for ours, reference in ((c.precision, sk.precision_score), (c.recall, sk.recall_score), (c.f1, sk.f1_score)):
        np.testing.assert_allclose(ours(counts), [reference(labels, p, average=None) for p in predicted], atol=1e-14)


def test_weighted_metrics_are_scikit_learns_sample_weights():
    labels, predicted = data()
    weights = RNG.multinomial(labels.size, np.full(labels.size, 1 / labels.size), size=7)
    counts = c.count(labels, predicted, 3, weights.astype(np.float32))
    assert counts.right.shape == (7, 4, 3)
    for b in range(7):
        for s in range(4):
            expected = sk.f1_score(labels, predicted[s], average="macro", sample_weight=weights[b])
            assert c.macro_f1(counts)[b, s] == pytest.approx(expected)
            expected = sk.accuracy_score(labels, predicted[s], sample_weight=weights[b])
            assert c.accuracy(counts)[b, s] == pytest.approx(expected)


def test_a_class_never_predicted_has_precision_zero_as_in_scikit_learn():
    labels, predicted = np.array([0, 1, 2, 2]), np.array([[0, 1, 1, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.precision_score(labels, predicted[0], average="macro")
    assert c.macro_precision(c.count(labels, predicted, 3))[0] == pytest.approx(expected)


def test_a_class_without_subjects_leaves_macro_metrics_undefined_but_not_accuracy():
    counts = c.count([0, 1, 1], [[0, 1, 0]], 3)
    assert np.isnan(c.macro_f1(counts)).all()
    assert np.isnan(c.macro_recall(counts)).all()
    assert c.accuracy(counts)[0] == pytest.approx(2 / 3)


def test_absent_subjects_do_not_count():
    labels, predicted = data()
    predicted[1, :30] = -1
    counts = c.count(labels, predicted, 3)
    assert c.macro_f1(counts)[1] == pytest.approx(sk.f1_score(labels[30:], predicted[1, 30:], average="macro"))
    assert c.confusion(labels, predicted, 3)[1].sum() == labels.size - 30


def test_confusion_matrices_are_scikit_learns():
    labels, predicted = data()
    for matrix, p in zip(c.confusion(labels, predicted, 3), predicted, strict=True):
        np.testing.assert_array_equal(matrix, sk.confusion_matrix(labels, p))


def test_macro_f1_is_the_mean_of_class_f1_and_not_f1_of_the_means():
    labels, predicted = np.array([0, 0, 0, 1]), np.array([[0, 0, 1, 1]])
    counts = c.count(labels, predicted, 2)
    assert c.macro_f1(counts)[0] == pytest.approx((0.8 + 2 / 3) / 2)
    p, r = c.macro_precision(counts)[0], c.macro_recall(counts)[0]
    assert c.macro_f1(counts)[0] != pytest.approx(2 * p * r / (p + r))


def test_softmax_survives_huge_logits_and_is_float64():
    p = softmax(np.array([[1e4, 0.0], [0.0, 0.0]], dtype=np.float32))
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, [[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(softmax([[2.0, 0.0]], temperature=2.0), softmax([[1.0, 0.0]]))


def test_window_probabilities_are_averaged_per_subject():
    probs, rows = average_by_group([[1.0, 0], [0.5, 0.5], [0.2, 0.8]], [0, 0, 2], 3)
    np.testing.assert_allclose(probs[[0, 2]], [[0.75, 0.25], [0.2, 0.8]])
    assert np.isnan(probs[1]).all()
    assert rows.tolist() == [2, 0, 1]


def test_two_class_decisions_are_abnormal_from_one_half_on():
    assert decide([[0.5, 0.5], [0.51, 0.49], [np.nan, np.nan]]).tolist() == [1, 0, -1]
    assert decide([[0.3, 0.3, 0.4], [0.4, 0.4, 0.2]]).tolist() == [2, 0]


@pytest.mark.parametrize("k", [2, 3])
def test_matthews_correlation_is_scikit_learns(k):
    labels, predicted = data(k)
    got = c.mcc(c.count(labels, predicted, k))
    np.testing.assert_allclose(got, [sk.matthews_corrcoef(labels, p) for p in predicted])
    alone = c.mcc(c.count(labels, np.zeros_like(labels), k))
    assert alone.tolist() == [0.0]
