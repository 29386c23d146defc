"""Interval and test of folds of whole sites in simulated studies; docs/statistics.md reports larger simulations."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

STUDIES = 400
"""Standard error of a rate of 5 %: 1.1 points."""


@pytest.fixture(scope="module")
def sites():
    """benchmarks/sites.py and the modules beside it."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("sites")
    sys.path.pop(0)


def test_simulated_subjects_of_a_site_share_its_effect_over_seeds_arms_and_folds(sites):
    site_N, fold_N = sites.folds_of_sites(8, 4)
    assert np.bincount(site_N).min() >= 10
    assert all(len(set(fold_N[site_N == site])) == 1 for site in range(8))
    assert np.bincount(fold_N).sum() == 200
    assert np.bincount(fold_N).min() > 30
    y, scores = sites.draw_sites(np.random.default_rng(1), (8.0, 0.0), 400, 2, 3, site_N, fold_N)
    one = np.where(y[:, None, None], scores, np.nan)
    by_site = np.stack([np.nanmean(one[..., site_N == site], axis=-1) for site in range(8)], axis=-1)
    apart = by_site - by_site.mean()
    assert np.corrcoef(apart[:, 0, 0].ravel(), apart[:, 0, 1].ravel())[0, 1] > 0.9  # seeds of an arm
    assert np.corrcoef(apart[:, 0, 0].ravel(), apart[:, 1, 0].ravel())[0, 1] == pytest.approx(0.78, abs=0.08)  # arms
    assert abs(np.corrcoef(apart[:, 0, 0, 0], apart[:, 0, 0, 1])[0, 1]) < 0.15  # sites
    # a level of standard deviation 8 · 0.25 and half of a skill's of the same: common to arms 4/5 of the variance
    assert np.nanstd(by_site[:, 0].mean(axis=1)) == pytest.approx(8 * 0.25 * np.sqrt(1.25 * 1.25), rel=0.1)
    mixed, _ = sites.draw_sites(np.random.default_rng(2), (0.0, 0.15), 400, 1, 1, site_N, fold_N)
    shares = np.stack([mixed[:, site_N == site].mean(axis=1) for site in range(8)])
    assert shares.mean() == pytest.approx(2 / 3, abs=0.02)
    assert shares.std() > 0.15


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("count", "folds"), [(5, 5), (8, 4), (20, 5)])
@pytest.mark.parametrize("effect", ["no site effect", "site effect 2 x", "site effect 4 x", "site effect 2 x, mix"])
def test_the_interval_of_folds_of_sites_covers_new_sites(sites, effect, count, folds, seeds):
    for row in sites.of_cell(effect, count, folds, seeds, STUDIES):
        assert row.coverage > 0.93 - 2.6 * 0.013, row
        assert row.error < 0.05 + 2.6 * 0.011, row


@pytest.mark.slow
def test_without_the_variance_of_folds_the_interval_holds_for_the_studys_sites_alone(sites):
    for row in sites.of_cell("site effect 4 x", 5, 5, 5, STUDIES):
        assert row.without < 0.75, row
