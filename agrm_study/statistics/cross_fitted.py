"""Recalibration fitted and evaluated on the same subjects, by cross-fitting."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.calibration import LEAST, logistic_regression, logits_of, temperature_of
from agrm_study.statistics.probabilities import softmax

FOLDS: Final = 5


def cross_fitted(probs_NK: ArrayLike, labels_N: ArrayLike, folds: int = FOLDS) -> Floats | None:
    """Recalibrated probabilities (N, K), each from a fit on the subjects of the other folds.

    Two classes: logistic recalibration, logit p′ = a + b·logit p (Cox 1958; Steyerberg 2019), by maximum likelihood.
    More classes: a temperature (Guo et al. 2017). Folds are stratified by class and follow the order of
    the subjects.

    Args:
        probs_NK: Class probabilities of each subject.
        labels_N: Class index of each subject.
        folds: Number of folds.

    Returns:
        None if a class has fewer subjects than folds, or a fit does not exist (the scores separate the classes, or
        the temperature is at a bound).
    """
    probs, labels = np.asarray(probs_NK, dtype=np.float64), np.asarray(labels_N, dtype=np.int64)
    fold_N = fold_of(labels, probs.shape[1], folds)
    if fold_N is None:
        return None
    out = np.empty_like(probs)
    for fold in range(folds):
        here = fold_N == fold
        fitted = _logistic if probs.shape[1] == 2 else _temperature
        found = fitted(probs[~here], labels[~here], probs[here])
        if found is None:
            return None
        out[here] = found
    return out


def fold_of(labels_N: Ints, n_classes: int, folds: int) -> Ints | None:
    """Fold of each subject, stratified by class; None if a class has fewer subjects than folds."""
    fold_N = np.empty(labels_N.size, dtype=np.int64)
    for index in range(n_classes):
        mine = np.flatnonzero(labels_N == index)
        if mine.size < folds:
            return None
        fold_N[mine] = np.arange(mine.size) % folds
    return fold_N


def _logistic(train_NK: Floats, labels_N: Ints, test_MK: Floats) -> Floats | None:
    fitted = logistic_regression((labels_N == 1).astype(np.float64), logits_of(train_NK[:, 1]))
    if fitted is None:
        return None
    intercept, slope = fitted.params
    positive = scipy.special.expit(intercept + slope * logits_of(test_MK[:, 1]))
    return np.column_stack([1 - positive, positive])


def _temperature(train_NK: Floats, labels_N: Ints, test_MK: Floats) -> Floats | None:
    found = temperature_of(np.log(np.clip(train_NK, LEAST, None)), labels_N)
    if found is None:
        return None
    return softmax(np.log(np.clip(test_MK, LEAST, None)), found)
