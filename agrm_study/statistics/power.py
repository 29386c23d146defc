"""Power of the comparison of two arms, and the smallest detectable difference.

The test is the t-test of `statistics.comparison`: variance and degrees of freedom come from the components of a
difference, projected to different numbers of seeds and test subjects. Power is computed with the noncentral t
distribution. With folds, power is averaged over the distribution of the variance estimates, because an overestimated
variance due to folds also has fewer degrees of freedom, which the noncentral t distribution ignores.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import scipy

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.two_way import Components

POWER: Final = 0.8
"""Probability with which the smallest detectable difference is detected."""


def power_of(delta: float, c: Components, level: float = 0.05) -> float:
    """Probability that the two-sided test detects a true difference; NaN if the variance is zero.

    Args:
        delta: The true difference, on the metric's scale.
        c: Variance components of the difference.
        level: Significance level of the comparison, divided by the number of comparisons for Holm's first step.
    """
    error, df = float(np.sqrt(c.variance)), float(c.df)
    if not error > 0:
        return float("nan")
    if c.n_folds > 1:
        return _power_with_folds(delta, c, level)
    limit = float(scipy.stats.t.isf(level / 2, df))
    shift = abs(delta) / error
    return float(scipy.stats.nct.sf(limit, df, shift) + scipy.stats.nct.sf(limit, df, -shift))


def _power_with_folds(delta: float, c: Components, level: float) -> float:
    """The power, averaged over mid-quantiles of the variance due to folds (rows) and of the remaining variance
    (columns)."""
    rest = replace(c, folds=0.0, between_folds=0.0)
    of_folds = _nodes(c.n_folds - 1.0, 64)[:, None]
    of_rest = _nodes(float(rest.df), 32)[None, :]
    between = c.between_folds * of_folds
    drawn = replace(
        c,
        seeds=c.seeds * of_rest,
        subjects=c.subjects * of_rest,
        interaction=c.interaction * of_rest,
        between_folds=between,
        folds=np.maximum(between - (c.between_folds - c.folds), 0.0),
    )
    limit = scipy.special.stdtrit(drawn.df, 1 - level / 2) * np.sqrt(drawn.variance)
    error = np.sqrt(c.variance)
    return float(
        (scipy.special.ndtr((abs(delta) - limit) / error) + scipy.special.ndtr((-abs(delta) - limit) / error)).mean()
    )


def _nodes(df: float, count: int) -> Floats:
    """Mid-quantiles of χ²/df: an estimated variance relative to its expectation."""
    return np.asarray(scipy.special.chdtri(df, 1 - (np.arange(count) + 0.5) / count) / df, dtype=np.float64)


def smallest_detectable(c: Components, *, power: float = POWER, level: float = 0.05) -> float:
    """The true difference that the test detects with a given probability; NaN if the variance is zero."""
    error = float(np.sqrt(c.variance))
    if not error > 0:
        return float("nan")
    high = error
    while power_of(high, c, level) < power:
        high *= 2
    return float(scipy.optimize.brentq(lambda delta: power_of(delta, c, level) - power, 0.0, high, xtol=1e-9))


def assumed(seed_sd: float, disagreement: float, *, seeds: int, subjects: int) -> Components:
    """Components of a difference in accuracy, computed from assumptions instead of finished trials.

    Args:
        seed_sd: Standard deviation of an arm's accuracy over seeds; the seeds of the two arms are independent.
        disagreement: Share of test subjects that only one of the two arms classifies correctly. It equals the
            variance of the difference between two binary outcomes with equal means (McNemar).
        seeds: Number of seeds per arm.
        subjects: Number of test subjects.
    """
    return Components(
        seeds=2 * seed_sd**2 / seeds,
        subjects=disagreement / subjects,
        interaction=0.0,
        seed_df=2.0 * (seeds - 1),
        subject_df=float(subjects - 1),
        n_seeds=seeds,
        n_subjects=subjects,
    )
