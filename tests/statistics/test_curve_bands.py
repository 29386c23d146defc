"""Bands of curves: heights against scikit-learn, variances against simulation and closed forms."""

import numpy as np
import pytest
from sklearn import metrics as sk

from agrm_study.statistics.curve_bands import curve_band, precision_at_recall, sensitivity_at
from agrm_study.statistics.ranking import cumulated

RNG = np.random.default_rng(4)


def curves(seeds=4, n=120, rng=RNG):
    positive = rng.random(n) < 0.4
    hard = rng.normal(0, 1, n)
    return positive, 1.5 * positive + hard + rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 0.5, (seeds, n))


def test_the_mean_curves_are_scikit_learns():
    y, s = curves()
    grid = np.array([0.07, 0.23, 0.61])
    got = curve_band(y, s, sensitivity_at, grid).mean
    rates = [sk.roc_curve(y, x, drop_intermediate=False)[:2] for x in s]
    np.testing.assert_allclose(got, np.mean([np.interp(grid, f, t) for f, t in rates], axis=0))
    recalls = np.array([0.1, 0.5, 0.9])
    got = curve_band(y, s, precision_at_recall, recalls).mean
    expected = []
    for x in s:
        precision, recall, _ = sk.precision_recall_curve(y, x)
        expected.append([precision[recall >= r - 1e-12][-1] for r in recalls])  # the highest threshold that reaches it
    np.testing.assert_allclose(got, np.mean(expected, axis=0))


def test_precision_at_a_recall_is_that_of_the_first_threshold_that_reaches_it():
    counts = cumulated(np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7]), np.ones((1, 3)))[:2]
    np.testing.assert_allclose(precision_at_recall(*counts, np.array([0.4, 0.5, 0.6, 1.0])), [[1, 1, 2 / 3, 2 / 3]])


def test_the_width_over_subjects_is_that_of_the_curve_over_fresh_test_sets():
    # Without variation between seeds: the spread of one curve over new subjects against the mean width of the band.
    rng = np.random.default_rng(2)
    heights, widths = [], []
    for k in range(400):
        y = rng.random(150) < 0.5
        x = 1.2 * y + rng.normal(0, 1, 150)
        scores = np.stack([x] * 30) + rng.normal(0, 1e-9, (30, 150))
        if k < 60:
            b = curve_band(y, scores[:3], sensitivity_at, [0.3])
            # t with the capped degrees of freedom 3·(3 − 1) over the normal quantile
            widths.append((b.high - b.low)[0] / 2.447)
        heights.append(np.interp(0.3, *sk.roc_curve(y, x)[:2]))
    assert np.mean(widths) / 2 == pytest.approx(np.std(heights), rel=0.15)


def test_bands_are_wider_where_seeds_differ_and_absent_for_one_seed():
    y, s = curves()
    close = curve_band(y, s, sensitivity_at, [0.2])
    apart = curve_band(y, s + y * np.array([[-2.0], [-1.0], [0.0], [1.0]]), sensitivity_at, [0.2])
    assert (apart.high - apart.low)[0] > (close.high - close.low)[0]
    alone = curve_band(y, s[:1], sensitivity_at, [0.2])
    assert np.isfinite(alone.mean).all()
    assert np.isnan(alone.low).all()


def test_subjects_that_a_seed_did_not_evaluate_are_left_out_of_its_curve():
    y, s = curves()
    s[:, :30] = np.nan
    got, alone = (curve_band(a, b, precision_at_recall, [0.5]).mean for a, b in ((y, s), (y[30:], s[:, 30:])))
    np.testing.assert_allclose(got, alone)
