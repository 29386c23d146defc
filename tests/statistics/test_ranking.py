import numpy as np
import pytest
from sklearn import metrics as sk

from agrm_study.statistics import ranking as r

RNG = np.random.default_rng(1)
POSITIVE = RNG.random(90) < 0.4
SCORES = np.round(np.clip(0.4 * POSITIVE + RNG.normal(0.3, 0.25, 90), 0, 1), 2)


def test_average_precision_and_auc_are_scikit_learns_with_ties_and_weights():
    weights = RNG.integers(0, 4, size=(6, 90))
    ap, auc = r.average_precision(POSITIVE, SCORES, weights), r.roc_auc(POSITIVE, SCORES, weights)
    for b in range(6):
        assert ap[b] == pytest.approx(sk.average_precision_score(POSITIVE, SCORES, sample_weight=weights[b]))
        assert auc[b] == pytest.approx(sk.roc_auc_score(POSITIVE, SCORES, sample_weight=weights[b]))
    assert r.average_precision(POSITIVE, SCORES)[0] == pytest.approx(sk.average_precision_score(POSITIVE, SCORES))


def test_the_curve_is_scikit_learns_read_backwards():
    precision, recall, thresholds = sk.precision_recall_curve(POSITIVE, SCORES)
    ours = r.precision_recall_curve(POSITIVE, SCORES)
    np.testing.assert_allclose(ours.recall, recall[::-1])
    np.testing.assert_allclose(ours.precision, precision[::-1])
    np.testing.assert_allclose(ours.thresholds, thresholds[::-1])
    fpr, tpr, _ = sk.roc_curve(POSITIVE, SCORES, drop_intermediate=False)
    np.testing.assert_allclose(r.roc_curve(POSITIVE, SCORES).false_positive_rate, fpr)
    np.testing.assert_allclose(r.roc_curve(POSITIVE, SCORES).true_positive_rate, tpr)


def test_one_class_alone_has_no_curve_and_no_area():
    assert np.isnan(r.average_precision([0, 0], [0.1, 0.2])).all()
    assert np.isnan(r.roc_auc([1, 1], [0.1, 0.2])).all()
    with pytest.raises(ValueError, match="positive"):
        r.precision_recall_curve([0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="both classes"):
        r.roc_curve([1, 1], [0.1, 0.2])
