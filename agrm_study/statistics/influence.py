"""Influence of each subject on each seed's metric, used to estimate variances over subjects.

The influence values u satisfy θ̂ − θ ≈ mean of u over the subjects, so the variance of θ̂ over subjects is Var(u)/N.
Metrics of decisions use the jackknife, u = (N − 1)·(θ̂ − θ̂ without the subject) (Efron & Stein 1981). The area under
the ROC curve uses placement values (DeLong, DeLong & Clarke-Pearson 1988), and average precision uses the
infinitesimal jackknife, the derivative of θ̂ with respect to a subject's weight (Jaeckel 1972).

Axes: S seeds, N subjects, K classes. A subject that a seed did not evaluate has influence 0 for this seed.
    Values are NaN if the metric is undefined when the subject is left out, and, for metrics of scores, if a class is
    too small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Bools, Floats
from agrm_study.statistics.classification import METRICS, SCREENING, Counts, one_hot_columns, split_counts

FEWEST_OF_CLASS: Final = 10
"""Minimum number of subjects per class for the influence on areas under curves: intervals from fewer subjects had
coverage as low as 81 % in simulated studies (docs/statistics.md)."""


def of_decisions(
    labels_N: ArrayLike, predicted_SN: ArrayLike, n_classes: int, metrics: Sequence[str]
) -> dict[str, Floats]:
    """Influence (S, N) on metrics of decisions, by name: `METRICS` and, for two classes, `SCREENING`."""
    known = METRICS | SCREENING
    return of_counts(labels_N, predicted_SN, n_classes, {name: known[name] for name in metrics})


def of_counts(
    labels_N: ArrayLike,
    predicted_SN: ArrayLike,
    n_classes: int,
    functions: Mapping[str, Callable[[Counts], Floats]],
) -> dict[str, Floats]:
    """Influence (S, N) on arbitrary functions of counts, by name.

    Args:
        labels_N: Class index of each subject.
        predicted_SN: Predicted class; −1 if a seed did not evaluate a subject.
        n_classes: Number of classes, K.
        functions: Counts (…, K) → (…,).
    """
    predicted = np.atleast_2d(np.asarray(predicted_SN))
    columns_NC = one_hot_columns(labels_N, predicted, n_classes)
    total_C = columns_NC.sum(axis=0)
    whole, without = split_counts(total_C, n_classes), split_counts(total_C - columns_NC, n_classes)
    present_S = (predicted >= 0).sum(axis=1)
    out = {}
    for name, function in functions.items():
        change_NS = function(whole) - function(without)
        out[name] = _scaled((present_S - 1) * change_NS, present_S).T
    return out


def _scaled(influence_NS: Floats, present_S: ArrayLike) -> Floats:
    """Influence rescaled to all N subjects, for a seed that evaluated fewer."""
    n = influence_NS.shape[0]
    return np.asarray(influence_NS * (n / np.maximum(np.asarray(present_S), 1)))


def _of_each_seed(function: Callable[[Bools, Floats], Floats], positive_N: ArrayLike, scores_SN: ArrayLike) -> Floats:
    """Influence (S, N) on a metric of scores, computed for each seed from the subjects that it evaluated."""
    positive = np.asarray(positive_N, dtype=bool)
    scores = np.atleast_2d(np.asarray(scores_SN, dtype=np.float64))
    out = np.zeros(scores.shape)
    for row, score in zip(out, scores, strict=True):
        here = ~np.isnan(score)
        positives = int(positive[here].sum())
        if min(positives, int(here.sum()) - positives) < FEWEST_OF_CLASS:
            row[:] = np.nan
            continue
        row[here] = function(positive[here], score[here]) * (here.size / here.sum())
    return out


def of_roc_auc(positive_N: ArrayLike, scores_SN: ArrayLike) -> Floats:
    """Influence (S, N) on the area under the ROC curve; NaN if a class has fewer than `FEWEST_OF_CLASS` subjects."""

    def one(positive: Bools, score: Floats) -> Floats:
        m, n = positive.sum(), (~positive).sum()
        rank = scipy.stats.rankdata(score)
        u = np.empty(score.size)
        place = (rank[positive] - scipy.stats.rankdata(score[positive])) / n
        auc = place.mean()
        u[positive] = (place - auc) * (m + n) / m
        below = (rank[~positive] - scipy.stats.rankdata(score[~positive])) / m
        u[~positive] = (1 - below - auc) * (m + n) / n
        return u

    return _of_each_seed(one, positive_N, scores_SN)


def of_average_precision(positive_N: ArrayLike, scores_SN: ArrayLike) -> Floats:
    """Influence (S, N) on average precision; NaN if a class has fewer than `FEWEST_OF_CLASS` subjects."""

    def one(positive: Bools, score: Floats) -> Floats:
        order = np.argsort(-score, kind="stable")
        y, ranked = positive[order].astype(np.float64), score[order]
        tie = np.cumsum(np.append(True, np.diff(ranked) != 0)) - 1
        last = np.append(np.flatnonzero(np.diff(tie)), tie.size - 1)[tie]
        first = np.append(0, np.flatnonzero(np.diff(tie)) + 1)[tie]
        true, called = np.cumsum(y)[last], np.arange(1, y.size + 1, dtype=np.float64)[last]
        precision, m = true / called, y.sum()
        average = float((y * precision).sum() / m)

        def below(x: Floats) -> Floats:
            """For each subject, the sum over the positive subjects whose score is not higher."""
            return np.asarray(np.cumsum((y * x)[::-1])[::-1][first])

        u = (y * (precision - average) + y * below(1 / called) - below(true / called**2)) / m
        out = np.empty(y.size)
        out[order] = y.size * u
        return out

    return _of_each_seed(one, positive_N, scores_SN)


RANKING_INFLUENCE: dict[str, Callable[[ArrayLike, ArrayLike], Floats]] = {
    "average_precision": of_average_precision,
    "roc_auc": of_roc_auc,
}
"""Influence on metrics of two-class scores, by name."""
