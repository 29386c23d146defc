"""Variance of a pooled estimate due to folds, in addition to the variance due to seeds and subjects.

The subjects of a fold are tested with the same training runs. The effect of their training subjects, which the runs of
all seeds share, shifts the results of all subjects of the fold together, so the variance between subjects alone is too
small. With m the subjects' mean influence over the seeds, F folds of about n subjects each, and a two-way layout
seeds × folds of the fold means, the moment estimator (Searle, Casella & McCulloch 1992, chapter 4) is

    between = n·variance of the fold means of m,         with expectation within + n·(fold² + (seed × fold)²/S),
    within = variance of m within the folds,
    fold²   = max((between − within)/n − (residual of the layout − residual inside the folds/n)/S, 0).

The folds contribute fold²/F to the variance of the mean over all subjects, of which the variance between subjects
already contains fold²/N. The seed × fold effect is part of the variance between seeds. The effect shared by the
training sets of all folds cannot be estimated from one data set (Bengio & Grandvalet 2004): the estimate is conditional
on the given subjects, like the estimate for a single split.

Axes: S seeds, N subjects, F folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agrm_study.statistics.arrays import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldVariance:
    """Variance of a mean due to folds.

    Attributes:
        variance: The variance.
        between: Variance of the mean computed from the fold means alone, with F − 1 degrees of freedom. `variance` is
            computed as a difference of mean squares, of which this is the least certain, so the term in
            Satterthwaite's (1946) formula is between²/(F − 1).
        n_folds: Number of folds, F.
    """

    variance: Floats
    between: Floats
    n_folds: int


def variance_of_folds(parts: Sequence[tuple[float, Floats, Ints]]) -> FoldVariance:
    """`fold_variance` of a contrast whose rows may belong to several repeats, each with separate folds.

    Args:
        parts: Coefficient, influence (…, S, N) and folds (S, N) of each arm; −1 if a subject was not tested in a row;
            fold numbers differ between repeats.
    """
    repeats = sorted({int(row.max()) for _, _, folds in parts for row in folds})
    found = []
    for last in repeats:
        mine = []
        for c, u, folds in parts:
            rows = folds.max(axis=1) == last
            if rows.any():
                mine.append((c * float(rows.mean()), u[..., rows, :], folds[rows][0]))
        fold_N = mine[0][2]
        here = fold_N >= 0
        shown = [(c * float(here.mean()), u[..., here]) for c, u, _ in mine]
        found.append(fold_variance(shown, fold_N[here]))
    spread = np.sum([np.where(each.variance > 0, np.square(each.between), 0.0) for each in found], axis=0)
    return FoldVariance(
        variance=np.sum([each.variance for each in found], axis=0),
        between=np.sqrt(spread),
        n_folds=min(each.n_folds for each in found),
    )


def fold_variance(parts: Sequence[tuple[float, Floats]], fold_N: Ints) -> FoldVariance:
    """Variance due to folds of a contrast Σ cᵢ·meanᵢ over the same subjects.

    Args:
        parts: Coefficient and influence (…, S, N) of each arm; arms paired by seed form one part, which
            contains their sum.
        fold_N: Fold of each subject.

    Returns:
        The variance; zero for fewer than two folds, or if an arm has only one seed.
    """
    member_FN = np.equal.outer(np.unique(fold_N), fold_N).astype(np.float64)
    sizes_F = member_FN.sum(axis=1)
    f, n = member_FN.shape
    shape = parts[0][1].shape[:-2]
    if f < 2 or any(u.shape[-2] < 2 for _, u in parts):
        return FoldVariance(variance=np.zeros(shape), between=np.zeros(shape), n_folds=f)
    centred = [(c, u - u.mean(axis=-1, keepdims=True)) for c, u in parts]
    mean_N = np.sum([c * u.mean(axis=-2) for c, u in centred], axis=0)
    mean_F = mean_N @ member_FN.T / sizes_F
    per_fold = (n - np.square(sizes_F).sum() / n) / (f - 1)
    between = (sizes_F * np.square(mean_F - mean_N.mean(axis=-1, keepdims=True))).sum(axis=-1) / (f - 1)
    within = np.square(mean_N - mean_F @ member_FN).sum(axis=-1) / (n - f)
    of_seeds = np.sum([c * c * _seed_by_fold(u, member_FN, sizes_F) for c, u in centred], axis=0)
    effect = np.maximum((between - within) / per_fold - of_seeds, 0.0)
    share = np.square(sizes_F / n).sum()
    return FoldVariance(variance=effect * (share - 1 / n), between=between / per_fold * share, n_folds=f)


def _seed_by_fold(u_SN: Floats, member_FN: Floats, sizes_F: Floats) -> Floats:
    """Variance of a fold's mean over seeds due to seed-specific effects on folds: (seed × fold)²/S."""
    s, n = u_SN.shape[-2:]
    f = sizes_F.size
    mean_SF = u_SN @ member_FN.T / sizes_F
    layout = mean_SF - mean_SF.mean(axis=-1, keepdims=True) - mean_SF.mean(axis=-2, keepdims=True)
    layout = layout + mean_SF.mean(axis=(-1, -2), keepdims=True)
    residual = np.square(layout).sum(axis=(-1, -2)) / ((s - 1) * (f - 1))
    inside = u_SN - mean_SF @ member_FN
    inside = inside - inside.mean(axis=-2, keepdims=True)
    noise = np.square(inside).sum(axis=(-1, -2)) / ((s - 1) * (n - f)) * np.mean(1 / sizes_F)
    return np.asarray((residual - noise) / s)
