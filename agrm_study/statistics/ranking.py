"""Threshold-free ranking metrics for the positive class: ROC and precision–recall curves, with weights.

Axes: B bootstrap weightings, N subjects. Tied scores form one threshold. Average precision is the step sum
Σ (R_i − R_{i−1})·P_i without interpolation (as in scikit-learn); the area under the ROC curve is trapezoidal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Bools, Floats


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """A precision–recall curve from the highest threshold down; starts at recall 0, precision 1."""

    recall: Floats
    precision: Floats
    thresholds: Floats


@dataclass(frozen=True, slots=True)
class Roc:
    """An ROC curve from (0, 0) to (1, 1)."""

    false_positive_rate: Floats
    true_positive_rate: Floats


def cumulated(positive_N: ArrayLike, scores_N: ArrayLike, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Cumulative positive and negative weights (B, M) at the M distinct thresholds, and the thresholds, highest
    first."""
    positive: Bools = np.asarray(positive_N, dtype=bool)
    scores = np.asarray(scores_N, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    sorted_weights = weights[:, order]
    true = np.cumsum(sorted_weights * positive[order], axis=1)[:, last_of_tie]
    false = np.cumsum(sorted_weights * ~positive[order], axis=1)[:, last_of_tie]
    return true, false, ranked[last_of_tie]


def _weights(weights_BN: ArrayLike | None, n: int) -> Floats:
    return np.ones((1, n)) if weights_BN is None else np.atleast_2d(np.asarray(weights_BN, dtype=np.float64))


def average_precision(positive_N: ArrayLike, scores_N: ArrayLike, weights_BN: ArrayLike | None = None) -> Floats:
    """Average precision for each weighting, (B,); NaN if no positive subject has weight."""
    true, false, _ = cumulated(positive_N, scores_N, _weights(weights_BN, np.size(scores_N)))
    total = true[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(true + false > 0, true / (true + false), 0.0)
        steps = np.diff(true, axis=1, prepend=0.0)
        return np.where(total > 0, (steps * precision).sum(axis=1) / total, np.nan)


def roc_auc(positive_N: ArrayLike, scores_N: ArrayLike, weights_BN: ArrayLike | None = None) -> Floats:
    """Area under the ROC curve for each weighting, (B,); NaN if a class has no weight."""
    true, false, _ = cumulated(positive_N, scores_N, _weights(weights_BN, np.size(scores_N)))
    total = true[:, -1] * false[:, -1]
    middle = true - np.diff(true, axis=1, prepend=0.0) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (np.diff(false, axis=1, prepend=0.0) * middle).sum(axis=1) / total, np.nan)


def at_each_seed(
    metric: Callable[[ArrayLike, ArrayLike, ArrayLike | None], Floats], positive_N: ArrayLike, scores_SN: ArrayLike
) -> Floats:
    """A metric of `RANKING` for each seed (S,), over the subjects that the seed scored (other scores are NaN)."""
    positive, scores = np.asarray(positive_N, dtype=bool), np.atleast_2d(np.asarray(scores_SN, dtype=np.float64))
    here_SN = ~np.isnan(scores)
    return np.array([float(metric(positive[h], s[h], None)[0]) for s, h in zip(scores, here_SN, strict=True)])


def precision_recall_curve(positive_N: ArrayLike, scores_N: ArrayLike) -> PrecisionRecall:
    """The precision–recall curve of one seed.

    Raises:
        ValueError: If there is no positive subject.
    """
    true, false, thresholds = cumulated(positive_N, scores_N, _weights(None, np.size(scores_N)))
    if true[0, -1] == 0:
        raise ValueError("a precision–recall curve requires at least one positive subject")
    recall = np.append(0.0, true[0] / true[0, -1])
    precision = np.append(1.0, true[0] / (true[0] + false[0]))
    return PrecisionRecall(recall, precision, thresholds)


def roc_curve(positive_N: ArrayLike, scores_N: ArrayLike) -> Roc:
    """The ROC curve of one seed.

    Raises:
        ValueError: If a class is missing.
    """
    true, false, _ = cumulated(positive_N, scores_N, _weights(None, np.size(scores_N)))
    if true[0, -1] == 0 or false[0, -1] == 0:
        raise ValueError("an ROC curve requires both classes")
    return Roc(np.append(0.0, false[0] / false[0, -1]), np.append(0.0, true[0] / true[0, -1]))


RANKING: dict[str, Callable[[ArrayLike, ArrayLike, ArrayLike | None], Floats]] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
}
"""Metrics of two-class scores, by name."""
