"""Classification metrics from counts, vectorised over seeds and bootstrap weightings.

Axes: B bootstrap weightings, S seeds, N subjects, K classes. Macro metrics are undefined (NaN) if a class has no
subjects; a class that is never predicted has precision 0, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Counts:
    """Summed weights of the correct predictions, all predictions, and true subjects of each class, (..., K) each."""

    right: Floats
    predicted: Floats
    support: Floats


def one_hot_columns(labels_N: ArrayLike, predicted_SN: ArrayLike, n_classes: int) -> Floats:
    """Indicator columns (N, S·3K) whose weighted sums are the counts; −1 denotes an absent prediction."""
    labels = np.asarray(labels_N, dtype=np.int64)
    predicted = np.atleast_2d(np.asarray(predicted_SN, dtype=np.int64))
    classes = np.arange(n_classes)
    is_label = labels[None, :, None] == classes
    is_predicted = predicted[:, :, None] == classes
    present = (predicted >= 0)[:, :, None]
    stacked = np.concatenate([is_label & is_predicted, is_predicted, is_label & present], axis=2)
    columns: Floats = stacked.transpose(1, 0, 2).reshape(labels.size, -1).astype(np.float64)
    return columns


def count(labels_N: ArrayLike, predicted_SN: ArrayLike, n_classes: int, weights_BN: ArrayLike | None = None) -> Counts:
    """Counts per seed, (S, K) each; if weights are given, per weighting and seed, (B, S, K) each.

    Args:
        labels_N: Class index of each subject.
        predicted_SN: Predicted class; −1 if a seed did not evaluate a subject.
        n_classes: Number of classes, K.
        weights_BN: Number of times that each subject is counted in each weighting.
    """
    columns = one_hot_columns(labels_N, predicted_SN, n_classes)
    if weights_BN is None:
        return split_counts(columns.sum(axis=0), n_classes)
    weights = np.asarray(weights_BN)
    return split_counts(weights @ columns.astype(weights.dtype), n_classes)


def split_counts(sums: ArrayLike, n_classes: int) -> Counts:
    """Counts from sums (..., S·3K) of the columns of `one_hot_columns`."""
    s = np.asarray(sums, dtype=np.float64)
    s = s.reshape(*s.shape[:-1], -1, 3, n_classes)
    return Counts(s[..., 0, :], s[..., 1, :], s[..., 2, :])


def _ratio(top: Floats, bottom: Floats, empty: float) -> Floats:
    out = np.full_like(top, empty)  # preserves the memory order: replicates vary fastest
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def _where_supported(c: Counts, x: Floats) -> Floats:
    x[c.support == 0] = np.nan
    return x


def precision(c: Counts) -> Floats:
    """Precision by class (..., K); 0 if a class is never predicted, NaN if it has no subjects."""
    return _where_supported(c, _ratio(c.right, c.predicted, 0.0))


def recall(c: Counts) -> Floats:
    """Recall by class (..., K); NaN if a class has no subjects."""
    return _ratio(c.right, c.support, np.nan)


def f1(c: Counts) -> Floats:
    """F1 by class (..., K), 2·right/(predicted + support); NaN if a class has no subjects."""
    return _where_supported(c, _ratio(2 * c.right, c.predicted + c.support, 0.0))


def accuracy(c: Counts) -> Floats:
    """Share of correct decisions (...,); NaN if there are no subjects."""
    return _ratio(c.right.sum(-1), c.support.sum(-1), np.nan)


def balanced_accuracy(c: Counts) -> Floats:
    """Mean recall over the classes (...,); NaN if a class has no subjects."""
    return np.asarray(recall(c).mean(-1))


def macro_precision(c: Counts) -> Floats:
    """Mean precision over the classes (...,)."""
    return np.asarray(precision(c).mean(-1))


def macro_recall(c: Counts) -> Floats:
    """Mean recall over the classes (...,)."""
    return np.asarray(recall(c).mean(-1))


def macro_f1(c: Counts) -> Floats:
    """Mean F1 over the classes (...,), not the F1 of mean precision and recall."""
    return np.asarray(f1(c).mean(-1))


METRICS: dict[str, Callable[[Counts], Floats]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_precision": macro_precision,
    "macro_recall": macro_recall,
    "macro_f1": macro_f1,
}
"""Metrics of decisions, by name."""


def sensitivity(c: Counts) -> Floats:
    """Recall of class 1, for two classes (...,); NaN if there are no positive subjects."""
    return np.asarray(recall(c)[..., 1])


def specificity(c: Counts) -> Floats:
    """Recall of class 0, for two classes (...,); NaN if there are no negative subjects."""
    return np.asarray(recall(c)[..., 0])


def ppv(c: Counts) -> Floats:
    """Share of correct predictions among predictions of class 1 (...,); NaN if class 1 is never predicted."""
    return _ratio(c.right[..., 1], c.predicted[..., 1], np.nan)


def npv(c: Counts) -> Floats:
    """Share of correct predictions among predictions of class 0 (...,); NaN if class 0 is never predicted."""
    return _ratio(c.right[..., 0], c.predicted[..., 0], np.nan)


SCREENING: dict[str, Callable[[Counts], Floats]] = {
    "sensitivity": sensitivity,
    "specificity": specificity,
    "ppv": ppv,
    "npv": npv,
}
"""Metrics of two-class decisions with class 1 as the positive class, by name."""


def mcc(c: Counts) -> Floats:
    """Matthews correlation coefficient of K classes (Gorodkin 2004) (...,), in [−1, 1]; 0 if only one class is
    predicted."""
    n, right = c.support.sum(-1), c.right.sum(-1)
    product = (c.predicted * c.support).sum(-1)
    spread = (n**2 - np.square(c.predicted).sum(-1)) * (n**2 - np.square(c.support).sum(-1))
    return np.where(n > 0, _ratio(n * right - product, np.sqrt(np.maximum(spread, 0.0)), 0.0), np.nan)


def confusion(labels_N: ArrayLike, predicted_SN: ArrayLike, n_classes: int) -> Ints:
    """Confusion matrices (S, K, K): rows true, columns predicted; absent predictions (−1) are ignored."""
    labels = np.asarray(labels_N, dtype=np.int64)
    predicted = np.atleast_2d(np.asarray(predicted_SN, dtype=np.int64))
    matrices = np.zeros((predicted.shape[0], n_classes * n_classes), dtype=np.int64)
    for row, decided in enumerate(predicted):
        present = decided >= 0
        matrices[row] = np.bincount(labels[present] * n_classes + decided[present], minlength=n_classes * n_classes)
    return matrices.reshape(-1, n_classes, n_classes)
