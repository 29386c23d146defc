"""Pointwise intervals for ROC and precision–recall curves averaged over seeds, covering seed and subject variation.

At each point of a grid, the height of the mean curve is a metric with the two-way variance of `statistics.two_way`. The
component due to seeds is the variance over the curves of the seeds. The height at a fixed rate or recall depends on
quantiles, for which the jackknife fails (Efron 1982), so the component due to subjects is the variance over bootstrap
samples of the subjects; the interaction is estimated from the difference between the variance of a single seed's curve
and the variance of the mean over seeds. Heights are proportions, so Wilson's interval is used.

Axes: S seeds, N subjects, G points of the grid, B bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Bools, Floats, Ints
from agrm_study.statistics.ranking import cumulated
from agrm_study.statistics.two_way import Components, bounded_interval

SAMPLES: Final = 200
"""Number of bootstrap samples; the standard error of a standard deviation is then 5 %."""

Heights = Callable[[Floats, Floats, Floats], Floats]
"""(True and false positives (B, M) by threshold, grid (G)) → heights (B, G); NaN if a class has no weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Mean curve over seeds with its pointwise 95% interval, (G,) each; undefined endpoints are NaN."""

    mean: Floats
    low: Floats
    high: Floats


def sensitivity_at(true_BM: Floats, false_BM: Floats, grid_G: Floats) -> Floats:
    """Sensitivity at the given false-positive rates, with linear interpolation."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.insert(false_BM / false_BM[:, -1:], 0, 0.0, axis=1)
        y = np.insert(true_BM / true_BM[:, -1:], 0, 0.0, axis=1)
    return np.stack([np.interp(grid_G, a, b) for a, b in zip(x, y, strict=True)])


def precision_at_recall(true_BM: Floats, false_BM: Floats, grid_G: Floats) -> Floats:
    """Precision at the first threshold that reaches each recall, without interpolation."""
    out = np.full((len(true_BM), len(grid_G)), np.nan)
    for row, true, false in zip(out, true_BM, false_BM, strict=True):
        if true[-1] > 0:
            at = np.searchsorted(true / true[-1], grid_G - 1e-12, side="left").clip(max=true.size - 1)
            row[:] = true[at] / (true[at] + false[at])
    return out


def curve_band(
    positive_N: ArrayLike, scores_SN: ArrayLike, heights: Heights, grid_G: ArrayLike, fold_SN: Ints | None = None
) -> Band:
    """Mean over seeds of a curve on a grid, with its pointwise interval.

    Args:
        positive_N: Whether each subject is positive.
        scores_SN: Score of the positive class; NaN if a seed did not evaluate a subject.
        heights: `sensitivity_at` or `precision_at_recall`.
        grid_G: False-positive rates or recalls.
        fold_SN: Fold in which each subject was tested (`fold_variance.variance_of_folds`); None for a single split.
    """
    positive: Bools = np.asarray(positive_N, dtype=bool)
    scores = np.atleast_2d(np.asarray(scores_SN, dtype=np.float64))
    grid = np.asarray(grid_G, dtype=np.float64)
    s, n = scores.shape
    present = ~np.isnan(scores)
    whole, filled = np.ones((1, n)), np.where(present, scores, np.nanmin(scores, initial=0.0))
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=SAMPLES).astype(np.float64)
    curves_SBG = np.stack(
        [
            heights(*cumulated(positive, row, np.vstack([whole, drawn]) * here)[:2], grid)
            for row, here in zip(filled, present, strict=True)
        ]
    )
    observed_SG, samples_SBG = curves_SBG[:, 0], curves_SBG[:, 1:]
    mean = observed_SG.mean(axis=0)
    if s < 2:
        return Band(mean=mean, low=np.full_like(mean, np.nan), high=np.full_like(mean, np.nan))
    of_mean, of_one = np.nanvar(samples_SBG.mean(axis=0), axis=0), np.nanvar(samples_SBG, axis=1).mean(axis=0)
    fewer = int(min(positive.sum(), (~positive).sum()))
    parts = Components(
        seeds=observed_SG.var(axis=0, ddof=1) / s,
        subjects=of_mean,
        interaction=np.clip((of_one - of_mean) / (s - 1), 0.0, of_mean),
        seed_df=np.full(mean.shape, s - 1.0),
        subject_df=np.full(mean.shape, max(fewer - 1.0, 1.0)),
        n_seeds=s,
        n_subjects=n,
    )
    if fold_SN is not None:
        parts = _with_folds(parts, positive, filled, heights, grid, fold_SN)
    low, high = bounded_interval(mean, parts, shape=1.0)
    if heights is sensitivity_at:  # monotone: lower bounds also hold at larger rates, upper bounds at smaller
        low, high = np.fmax.accumulate(low), np.fmin.accumulate(high[::-1])[::-1]
    return Band(mean=mean, low=low, high=high)


def _with_folds(
    parts: Components, positive: Bools, scores_SN: Floats, heights: Heights, grid_G: Floats, fold_SN: Ints
) -> Components:
    """Adds the variance due to folds: the jackknife variance over folds (Efron & Stein 1981) in excess of the variance
    due to subjects. It also contains the seed × fold effect, so the band is conservative."""
    repeats = sorted({int(row.max()) for row in fold_SN})
    added, spread, fewest = np.zeros(grid_G.shape), np.zeros(grid_G.shape), scores_SN.shape[1]
    for last in repeats:
        rows = np.flatnonzero(fold_SN.max(axis=1) == last)
        folds = np.unique(fold_SN[rows[0]][fold_SN[rows[0]] >= 0])
        without_FSG = np.stack(
            [
                heights(
                    *cumulated(positive, scores_SN[s], ((fold_SN[s] != folds[:, None]) & (fold_SN[s] >= 0)) * 1.0)[:2],
                    grid_G,
                )
                for s in rows
            ],
            axis=1,
        )
        f = len(folds)
        jackknife = (f - 1) / f * np.square(without_FSG.mean(axis=1) - without_FSG.mean(axis=(0, 1))).sum(axis=0)
        share = len(rows) / len(scores_SN)
        own = share**2 * np.maximum(jackknife - parts.subjects, 0.0)
        added, fewest = added + own, min(fewest, f)
        spread = spread + np.where(own > 0, np.square(share**2 * jackknife), 0.0)
    return replace(parts, folds=added, between_folds=np.sqrt(spread), n_folds=fewest)
