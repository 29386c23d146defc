"""Clinical metrics of two-class decisions: sensitivity, specificity, predictive values, net benefit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.classification import confusion
from agrm_study.statistics.estimators import Interval, wilson
from agrm_study.statistics.probabilities import TIE


@dataclass(frozen=True, slots=True)
class Screening:
    """Counts of a two-class decision; class 1 is the positive (abnormal) class."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def sensitivity(self) -> float:
        """TP/(TP + FN); NaN if there are no positive subjects."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """TN/(TN + FP); NaN if there are no negative subjects."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        """TP/(TP + FP) at the prevalence of the test set; NaN if no decision is positive."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """TN/(TN + FN) at the prevalence of the test set; NaN if no decision is negative."""
        return _share(self.tn, self.tn + self.fn)

    def intervals(self) -> dict[str, Interval]:
        """Wilson intervals of the four proportions, over the subjects of one seed."""
        return {
            "sensitivity": wilson(self.tp, self.tp + self.fn),
            "specificity": wilson(self.tn, self.tn + self.fp),
            "ppv": wilson(self.tp, self.tp + self.fp),
            "npv": wilson(self.tn, self.tn + self.fn),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def screen(labels_N: ArrayLike, predicted_SN: ArrayLike) -> tuple[Screening, ...]:
    """Two-class counts for each seed; absent predictions (−1) are ignored."""
    return tuple(
        Screening(tp=int(m[1, 1]), fp=int(m[0, 1]), fn=int(m[1, 0]), tn=int(m[0, 0]))
        for m in confusion(labels_N, predicted_SN, 2)
    )


def ppv_at(sensitivity: ArrayLike, specificity: ArrayLike, prevalence: float) -> Floats:
    """Positive predictive value at a given prevalence (Bayes' theorem), (…,); NaN if no decision is positive.

    Raises:
        ValueError: If the prevalence is outside [0, 1].
    """
    return _predictive(
        np.asarray(sensitivity) * prevalence, (1 - np.asarray(specificity)) * (1 - prevalence), prevalence
    )


def npv_at(sensitivity: ArrayLike, specificity: ArrayLike, prevalence: float) -> Floats:
    """Negative predictive value at a given prevalence (Bayes' theorem), (…,); NaN if no decision is negative.

    Raises:
        ValueError: If the prevalence is outside [0, 1].
    """
    return _predictive(
        np.asarray(specificity) * (1 - prevalence), (1 - np.asarray(sensitivity)) * prevalence, prevalence
    )


def _predictive(right: Floats, wrong: Floats, prevalence: float) -> Floats:
    if not 0 <= prevalence <= 1:
        raise ValueError(f"prevalence must lie in [0, 1], got {prevalence}")
    called = right + wrong
    return np.asarray(np.divide(right, called, out=np.full(np.shape(called), np.nan), where=called > 0))


def net_benefit(positive_N: ArrayLike, scores_SN: ArrayLike, thresholds_T: ArrayLike) -> Floats:
    """Net benefit (S, T) of classifying subjects as positive at scores of at least a threshold (Vickers & Elkin 2006).

    TP/N − FP/N · t/(1 − t), computed for each seed over the subjects that it evaluated. Scores below a
    threshold by at most `TIE` count as reaching it.

    Args:
        positive_N: Whether each subject is positive.
        scores_SN: Probability of the positive class; NaN if a seed did not evaluate a subject.
        thresholds_T: Thresholds t in (0, 1).
    """
    positive = np.asarray(positive_N, dtype=bool)
    scores = np.atleast_2d(np.asarray(scores_SN, dtype=np.float64))
    t = np.asarray(thresholds_T, dtype=np.float64)
    present_S = (~np.isnan(scores)).sum(axis=1)
    called_STN = scores[:, None, :] >= t[:, None] - TIE
    right, wrong = (called_STN & positive).sum(axis=-1), (called_STN & ~positive).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((right - wrong * t / (1 - t)) / present_S[:, None])


def treat_all(prevalence: float, thresholds_T: ArrayLike) -> Floats:
    """Net benefit (T,) of classifying all subjects as positive; the net benefit of classifying none as positive is
    0."""
    t = np.asarray(thresholds_T, dtype=np.float64)
    return np.asarray(prevalence - (1 - prevalence) * t / (1 - t))
