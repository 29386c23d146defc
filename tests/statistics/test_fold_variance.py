"""Variance that pooled folds add, against a closed form, an analysis of variance and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from agrm_study.statistics.fold_variance import fold_variance, variance_of_folds
from agrm_study.statistics.two_way import combined, components


def scores(rng, studies, seeds, folds, per_fold, *, fold=0.0, seed_fold=0.0, subject=1.0, noise=0.5):
    """Independent effects of folds, seeds × folds, subjects and residuals: (R, S, N), and the folds (N,)."""
    fold_N = np.arange(folds * per_fold) % folds
    u = rng.normal(0, subject, (studies, 1, fold_N.size)) + rng.normal(0, noise, (studies, seeds, fold_N.size))
    u = u + rng.normal(0, fold, (studies, 1, folds))[..., fold_N]
    return u + rng.normal(0, seed_fold, (studies, seeds, folds))[..., fold_N], fold_N


def test_the_estimate_is_that_of_an_analysis_of_variance():
    u, fold_N = scores(np.random.default_rng(3), 1, 4, 5, 12, fold=1.0, seed_fold=0.4)
    s, n, f = 4, 60, 5
    frame = pd.DataFrame(
        {
            "y": u[0].ravel(),
            "seed": np.repeat(np.arange(s), n),
            "subject": np.tile(np.arange(n), s),
            "fold": np.tile(fold_N, s),
        }
    )
    # mean squares of a split-plot design: subjects nested in folds and crossed with seeds
    means = frame.groupby(["seed", "fold"], as_index=False)["y"].mean()
    of_seeds = ols("y ~ C(seed) + C(fold)", means).fit().mse_resid * 12
    inside = [ols("y ~ C(seed) + C(subject)", of_fold).fit() for _, of_fold in frame.groupby("fold")]
    residual = sum(fit.ssr for fit in inside) / sum(fit.df_resid for fit in inside)
    per_subject = frame.groupby(["fold", "subject"], as_index=False)["y"].mean()
    table = anova_lm(ols("y ~ C(fold)", per_subject).fit())
    between, within = table["mean_sq"] * s
    effect = (between - within - of_seeds + residual) / (s * 12)
    found = fold_variance([(1.0, u[0])], fold_N)
    assert float(found.variance) == pytest.approx(effect * (1 / f - 1 / n), rel=1e-9)
    alone = means.groupby("fold")["y"].mean().var(ddof=1) / f
    assert float(found.between) == pytest.approx(alone, rel=1e-9)
    assert found.n_folds == 5


def test_it_is_unbiased_where_it_is_not_cut_at_zero():
    u, fold_N = scores(np.random.default_rng(5), 4000, 3, 5, 20, fold=2.0, seed_fold=0.5)
    found = fold_variance([(1.0, u)], fold_N).variance
    assert found.mean() == pytest.approx(2.0**2 * (1 / 5 - 1 / 100), rel=0.04)


@pytest.mark.parametrize("seed_fold", [0.0, 0.6])
def test_seeds_subjects_and_folds_together_are_the_variance_of_the_mean(seed_fold):
    u, fold_N = scores(np.random.default_rng(6), 4000, 4, 5, 20, fold=0.8, seed_fold=seed_fold)
    c = components(u.mean(axis=-1), u, np.tile(fold_N, (4, 1)))
    assert c.variance.mean() == pytest.approx(u.mean(axis=(1, 2)).var(), rel=0.08)
    assert np.allclose(sum(c.shares) + c.fold_share, 1.0)


def test_a_contrast_of_arms_has_the_folds_of_both():
    rng = np.random.default_rng(7)
    a, fold_N = scores(rng, 4000, 3, 5, 20, fold=0.8, subject=0.0)
    b, _ = scores(rng, 4000, 3, 5, 20, fold=0.6, subject=0.0)
    fold_SN = np.tile(fold_N, (3, 1))
    c = combined([(1.0, a.mean(axis=-1), a), (-1.0, b.mean(axis=-1), b)], paired=False, folds=[fold_SN, fold_SN])
    assert c.folds.mean() == pytest.approx((0.8**2 + 0.6**2) * (1 / 5 - 1 / 100), rel=0.06)


def test_an_effect_that_all_folds_share_cancels():
    u, fold_N = scores(np.random.default_rng(8), 50, 3, 5, 20)
    shifted = u + np.linspace(-3, 3, 50)[:, None, None]
    assert np.allclose(fold_variance([(1.0, u)], fold_N).variance, fold_variance([(1.0, shifted)], fold_N).variance)


def test_repeats_halve_the_variance_that_their_own_folds_add():
    rng = np.random.default_rng(9)
    once, fold_N = scores(rng, 3000, 3, 5, 20, fold=1.5, subject=0.3)
    again, _ = scores(rng, 3000, 3, 5, 20, fold=1.5, subject=0.3)
    both = np.concatenate([once, again], axis=1)
    folds = np.concatenate([np.tile(fold_N, (3, 1)), np.tile(fold_N + 5, (3, 1))])
    found = variance_of_folds([(1.0, both, folds)])
    assert found.variance.mean() == pytest.approx(1.5**2 / 2 * (1 / 5 - 1 / 100), rel=0.05)
    assert found.n_folds == 5
    alone = variance_of_folds([(1.0, once, folds[:3])])
    assert np.median(found.between) < 0.8 * np.median(alone.between)


def test_subjects_that_no_fold_tested_change_nothing_but_the_scale():
    u, fold_N = scores(np.random.default_rng(10), 20, 3, 5, 20, fold=1.0)
    folds = np.tile(np.append(fold_N, np.full(25, -1)), (3, 1))
    padded = np.concatenate([u - u.mean(axis=-1, keepdims=True), np.zeros((20, 3, 25))], axis=-1) * 125 / 100
    found = variance_of_folds([(1.0, padded, folds)]).variance
    assert np.allclose(found, fold_variance([(1.0, u)], fold_N).variance)


def test_one_fold_adds_nothing():
    u, _ = scores(np.random.default_rng(11), 5, 3, 5, 20, fold=1.0)
    assert not fold_variance([(1.0, u)], np.zeros(100, dtype=np.int64)).variance.any()


def test_more_subjects_or_seeds_never_widen_the_expected_interval():
    u, fold_N = scores(np.random.default_rng(12), 40, 3, 5, 20, fold=0.4)
    c = components(u.mean(axis=-1), u, np.tile(fold_N, (3, 1)))
    for more in (c.projected(seeds=2), c.projected(subjects=3), c.projected(seeds=2, subjects=3)):
        assert (more.half_width() <= c.half_width() * 1.0001).all()
    whole = (c.seeds > c.interaction) & (c.subjects > c.interaction)  # nothing is cut at 0
    assert whole.any()
    assert np.allclose(c.projected().half_width()[whole], c.half_width()[whole], rtol=1e-6)
