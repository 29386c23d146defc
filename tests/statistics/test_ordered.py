"""Kappa and mean absolute error of ordered classes, against scikit-learn and a manual jackknife."""

import numpy as np
import pytest
from sklearn import metrics as sk

from agrm_study.statistics.ordered import mean_absolute_error, quadratic_kappa

RNG = np.random.default_rng(5)


def grades(k=4, n=60, seeds=3):
    labels = RNG.integers(0, k, n)
    predicted = np.clip(labels + RNG.integers(-1, 2, (seeds, n)), 0, k - 1)
    return labels, predicted


def kappa(y, d):
    return sk.cohen_kappa_score(y, d, weights="quadratic")


@pytest.mark.parametrize("k", [2, 3, 4])
def test_both_metrics_of_every_seed_are_scikit_learns(k):
    y, d = grades(k)
    np.testing.assert_allclose(quadratic_kappa(y, d, k).values_S, [kappa(y, x) for x in d])
    np.testing.assert_allclose(mean_absolute_error(y, d).values_S, [sk.mean_absolute_error(y, x) for x in d])


def test_a_grade_without_a_subject_changes_nothing():
    y, d = grades(3)
    np.testing.assert_allclose(quadratic_kappa(y, d, 6).values_S, [kappa(y, x) for x in d])


@pytest.mark.parametrize(
    ("ours", "reference"),
    [(lambda y, d: quadratic_kappa(y, d, 4), kappa), (mean_absolute_error, sk.mean_absolute_error)],
)
def test_influence_is_the_jackknife_of_scikit_learns_metric(ours, reference):
    y, d = grades()
    for row, x in zip(ours(y, d).influence_SN, d, strict=True):
        whole = reference(y, x)
        without = [reference(np.delete(y, i), np.delete(x, i)) for i in range(len(y))]
        np.testing.assert_allclose(row, (len(y) - 1) * (whole - np.array(without)), atol=1e-9)


@pytest.mark.parametrize("ours", [lambda y, d: quadratic_kappa(y, d, 4), mean_absolute_error])
def test_subjects_that_a_seed_did_not_evaluate_are_left_out_and_the_rest_stands_for_all(ours):
    y, d = grades(seeds=1)
    d[0, :15] = -1
    got, alone = ours(y, d), ours(y[15:], d[:, 15:])
    assert got.values_S == pytest.approx(alone.values_S)
    assert (got.influence_SN[0, :15] == 0).all()
    np.testing.assert_allclose(got.influence_SN[0, 15:], alone.influence_SN[0] * 60 / 45)


def test_kappa_is_one_for_perfect_grades_and_undefined_where_all_are_of_one_class():
    y, _ = grades()
    assert quadratic_kappa(y, y[None], 4).values_S == pytest.approx(1)
    assert np.isnan(quadratic_kappa(np.ones(9, int), np.ones((1, 9), int), 4).values_S).all()
    assert mean_absolute_error(y, y[None]).values_S == pytest.approx(0)
