"""Interval, test and power of pooled folds in simulated studies; docs/statistics.md reports larger simulations."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from agrm_study.statistics.power import power_of
from agrm_study.statistics.two_way import Components, combined, t_test

STUDIES = 400
"""Standard error of a rate of 5 %: 1.1 points."""


@pytest.fixture(scope="module")
def folds():
    """benchmarks/folds.py and the modules beside it."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("folds")
    sys.path.pop(0)


def test_simulated_folds_share_the_effect_of_their_training_set(folds):
    regimes = importlib.import_module("regimes")
    still = regimes.Regime(subject=0.0, noise=0.0, level=0.0, skill_sd=0.0, skill=0.0)
    _, scores, fold_N = regimes.draw_folds(
        np.random.default_rng(1), still, regimes.Folds(level=1.0, skill_sd=0.0), 400, 3, 200
    )
    assert np.bincount(fold_N).tolist() == [40] * 5
    by_fold = scores[:, 0, :, :5]  # the first subject of each fold
    assert np.allclose(scores[:, 0], by_fold[..., fold_N])
    assert np.allclose(by_fold, by_fold[:, :1])  # the same for all seeds
    assert by_fold[:, 0].std() == pytest.approx(1.0, abs=0.05)
    assert abs(np.corrcoef(by_fold[:, 0, 0], by_fold[:, 0, 1])[0, 1]) < 0.2
    shared = regimes.Folds(level=1.0, skill_sd=0.0, overlap=0.75)
    by_fold = regimes.draw_folds(np.random.default_rng(2), still, shared, 400, 1, 200)[1][:, 0, 0, :5]
    assert np.corrcoef(by_fold[:, 0], by_fold[:, 1])[0, 1] == pytest.approx(0.75, abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    "regime",
    [
        "no fold effect", "fold effect half of seeds", "fold effect as of seeds", "fold effect 2 x",
        "seeds related over folds", "seeds dominate", "10 % prevalence",
    ],
)  # fmt: skip
def test_the_pooled_interval_covers_and_equal_arms_rarely_differ(folds, regime, seeds):
    for row in folds.of_cell(regime, *folds.FOLD_REGIMES[regime], seeds, STUDIES):
        assert row.coverage > 0.93 - 2.6 * 0.013, row
        assert row.error < 0.05 + 2.6 * 0.011, row
        if "half" in regime or "no fold" in regime:
            assert row.width <= 0.6, row


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("name", ["no fold effect", "fold effect as of seeds", "fold effect 2 x"])
def test_the_bands_of_pooled_folds_cover_the_expected_curve(folds, name, seeds):
    bands = importlib.import_module("bands")
    regime, of_folds = folds.FOLD_REGIMES[name]
    for curve, (held, shown) in bands.coverage(regime, seeds, 200, 200, of_folds).items():
        assert (shown > 0.95).all(), curve
        assert (held > 0.93 - 2.6 * 0.018).all(), (curve, held)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("no fold effect", 0.6), ("fold effect half of seeds", 0.6), ("fold effect as of seeds", 0.8),
        ("seeds 2-3 x", 1.0), ("seeds dominate", 0.9), ("accuracy .94", -0.9),
    ],
)  # fmt: skip
def test_power_with_folds_agrees_with_simulated_studies_within_15_percent(folds, name, better):
    regimes = importlib.import_module("regimes")
    regime, of_folds = regimes.FOLD_REGIMES[name]
    y, scores, fold_N = regimes.draw_folds(np.random.default_rng(7), regime, of_folds, 2000, 5, 200, (0.0, better))
    right = ((scores > 0) == y[:, None, None, :]).astype(float)
    values, fold_SN = right.mean(axis=-1), np.tile(fold_N, (5, 1))
    parts = [(1.0, values[:, 1], right[:, 1]), (-1.0, values[:, 0], right[:, 0])]
    c = combined(parts, paired=False, folds=[fold_SN, fold_SN])
    delta = (values[:, 1] - values[:, 0]).mean(axis=-1)
    found = float((t_test(delta, c) < 0.05).mean())
    fields = ("seeds", "subjects", "interaction", "seed_df", "subject_df", "folds", "between_folds")
    expected = Components(**{k: float(np.nanmean(getattr(c, k))) for k in fields}, n_seeds=5, n_subjects=200, n_folds=5)
    assert 0.2 < found < 0.95
    assert power_of(float(delta.mean()), expected) == pytest.approx(found, rel=0.15)
