"""Metrics of decisions between ordered classes: quadratically weighted kappa and mean absolute error.

Class indices are the grades, with a distance of 1 between adjacent classes. Axes: S seeds, N subjects, K classes; a
decision of −1 means that the seed did not evaluate the subject.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.classification import one_hot_columns


@dataclass(frozen=True, slots=True)
class OrderedScores:
    """A metric for each seed (S,), and the jackknife influence (S, N) of each subject on it
    (`statistics.influence`)."""

    values_S: Floats
    influence_SN: Floats


def quadratic_kappa(labels_N: ArrayLike, predicted_SN: ArrayLike, n_classes: int) -> OrderedScores:
    """Cohen's kappa with quadratic weights (Cohen 1968), in [−1, 1]: 1 − Σ(y − ŷ)² / (the same sum expected by chance).

    Chance means that labels and decisions are paired at random with their observed frequencies. NaN if all labels and
    decisions are of one class.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    predicted = np.atleast_2d(np.asarray(predicted_SN, dtype=np.int64))
    n, s = labels.size, predicted.shape[0]
    columns = one_hot_columns(labels, predicted, n_classes).reshape(n, s, 3, n_classes)
    called_NSK, own_NSK = columns[:, :, 1], columns[:, :, 2]
    distance_NS = _distance(labels, predicted).T ** 2
    total_S, called_SK, own_SK = distance_NS.sum(axis=0), called_NSK.sum(axis=0), own_NSK.sum(axis=0)
    values_S = _kappa(total_S, called_SK, own_SK)
    without_NS = _kappa(total_S - distance_NS, called_SK - called_NSK, own_SK - own_NSK)
    present_SN = predicted >= 0
    return OrderedScores(values_S, _jackknife(values_S, without_NS.T, present_SN))


def mean_absolute_error(labels_N: ArrayLike, predicted_SN: ArrayLike) -> OrderedScores:
    """Mean distance between true and predicted class, in classes: 0 to K − 1; NaN for a seed that has no subjects."""
    labels = np.asarray(labels_N, dtype=np.int64)
    predicted = np.atleast_2d(np.asarray(predicted_SN, dtype=np.int64))
    present_SN = predicted >= 0
    distance_SN = _distance(labels, predicted)
    total_S, n_S = distance_SN.sum(axis=1), present_SN.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values_S = total_S / n_S
        without_SN = (total_S[:, None] - distance_SN) / (n_S[:, None] - 1)
    return OrderedScores(values_S, _jackknife(values_S, without_SN, present_SN))


def _distance(labels_N: ArrayLike, predicted_SN: ArrayLike) -> Floats:
    """Distance (S, N) between true and predicted class; 0 if a seed did not evaluate a subject."""
    predicted = np.asarray(predicted_SN)
    return np.where(predicted >= 0, np.abs(predicted - np.asarray(labels_N)), 0).astype(np.float64)


def _kappa(total: Floats, called_K: Floats, own_K: Floats) -> Floats:
    """Kappa (…,) from the sum of squared distances (…,) and the frequencies of decisions and labels (…, K)."""
    grades = np.arange(called_K.shape[-1], dtype=np.float64)
    weights_KK = np.square(grades[:, None] - grades)
    chance = np.einsum("...i,ij,...j->...", own_K, weights_KK, called_K)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, 1 - own_K.sum(axis=-1) * total / chance, np.nan)


def _jackknife(values_S: Floats, without_SN: Floats, present_SN: ArrayLike) -> Floats:
    """(n − 1)·(θ̂ − θ̂ without the subject), scaled to N if a seed evaluated n < N subjects; 0 for absent subjects."""
    present = np.asarray(present_SN, dtype=bool)
    n_S = present.sum(axis=1, keepdims=True)
    scale_S = present.shape[1] / np.maximum(n_S, 1)
    return np.where(present, (n_S - 1) * (values_S[:, None] - without_SN) * scale_S, 0.0)
