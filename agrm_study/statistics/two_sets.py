"""Difference of a metric between two test sets on which the same trained networks were evaluated.

The networks (seeds) are the same; the subjects are different people. With the metric for seed s on set A modelled as
θ_A + a_As + b_A + e_As (seeds, subjects, interaction), the difference of the means over S seeds has the variance

    Var(a_1s − a_2s)/S  +  Var(b_1) + Var(b_2)  +  (Var(e_1s) + Var(e_2s))/S:

seeds are crossed with sets, so their effect enters through the differences d_s = x_1s − x_2s for each seed, and the
subjects of the two sets are independent, so that their variances add. The variance of d_s estimates the first and last
terms. The estimate is therefore the estimate of `two_way` with seeds = Var(d)/S and the sums of the sets' subject and
interaction components; the degrees of freedom of the summed subject variances follow Welch–Satterthwaite (Satterthwaite
1946; Welch 1947). For readers crossed with independent groups of cases, see Obuchowski & Rockette (1995)
and Hillis (2007).

Axes: S seeds, N and M subjects of the sets; leading axes (simulated studies) are kept.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Ints
from agrm_study.statistics.comparison import Difference, Scored, common_seeds
from agrm_study.statistics.estimators import UNDEFINED, Interval
from agrm_study.statistics.two_way import Components, components, difference_interval, t_test


def components_of_sets(
    values_S: ArrayLike,
    influence_SN: ArrayLike,
    other_values_S: ArrayLike,
    other_influence_SM: ArrayLike,
    *,
    fold_SN: Ints | None = None,
    other_fold_SM: Ints | None = None,
) -> Components | None:
    """Components of the difference of the means over seeds between two sets.

    Args:
        values_S: Metric for each seed on the first set, (…, S).
        influence_SN: Influence of each subject of the first set, (…, S, N).
        other_values_S: Metric for the same seeds, in the same order, on the other set.
        other_influence_SM: Influence of each subject of the other set, (…, S, M).
        fold_SN: Fold in which each subject of the first set was tested; None for a single split. The variances due to
            folds are summed over the sets.
        other_fold_SM: Fold in which each subject of the other set was tested; None for a single split.

    Returns:
        The components; None for fewer than two seeds, or too few subjects in a set (`two_way.FEWEST_SUBJECTS`).
    """
    one = components(values_S, influence_SN, fold_SN)
    other = components(other_values_S, other_influence_SM, other_fold_SM)
    if one is None or other is None:
        return None
    difference = np.asarray(values_S, dtype=np.float64) - np.asarray(other_values_S, dtype=np.float64)
    subjects = one.subjects + other.subjects
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.square(one.subjects) / one.subject_df + np.square(other.subjects) / other.subject_df
        subject_df = np.where(spread > 0, np.square(subjects) / spread, one.subject_df)
    return Components(
        seeds=difference.var(axis=-1, ddof=1) / one.n_seeds,
        subjects=subjects,
        interaction=one.interaction + other.interaction,
        seed_df=one.seed_df,
        subject_df=subject_df,
        n_seeds=one.n_seeds,
        n_subjects=min(one.n_subjects, other.n_subjects),
        folds=one.folds + other.folds,
        between_folds=np.sqrt(np.square(one.between_folds) + np.square(other.between_folds)),
        n_folds=max(one.n_folds, other.n_folds),
    )


def compare_sets(ours: Scored, theirs: Scored) -> Difference:
    """Difference ours − theirs of a metric between two sets of subjects, over their common seeds.

    The interval and the uncorrected p-value are based on one t distribution; both are undefined for one seed.
    """
    common = common_seeds([ours, theirs])
    rows = [[scored.seeds.index(seed) for seed in common] for scored in (ours, theirs)]
    values = [scored.values_S[k] for scored, k in zip((ours, theirs), rows, strict=True)]
    delta = float(values[0].mean() - values[1].mean()) if common else math.nan
    found, interval, p = None, UNDEFINED, math.nan
    if len(common) > 1:
        folds = [None if x.fold_SN is None else x.fold_SN[k] for x, k in zip((ours, theirs), rows, strict=True)]
        found = components_of_sets(
            values[0],
            ours.influence_SN[rows[0]],
            values[1],
            theirs.influence_SN[rows[1]],
            fold_SN=folds[0],
            other_fold_SM=folds[1],
        )
    if found is not None and math.isfinite(delta) and np.isfinite(found.variance):
        low, high = (float(end) for end in difference_interval(delta, found))
        interval = Interval(max(low, -1.0), min(high, 1.0)) if math.isfinite(low) else UNDEFINED
        p = float(t_test(delta, found))
    return Difference(delta=delta, interval=interval, p=p, g=math.nan, n=len(common), paired=True, components=found)
