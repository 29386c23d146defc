"""What would a two-class decision mean in screening? Sensitivity, specificity, predictive values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from agrm_study.statistics.classification import confusion
from agrm_study.statistics.estimators import Interval, wilson


@dataclass(frozen=True, slots=True)
class Screening:
    """Counts of a two-class decision; class 1 is the positive (abnormal) one."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def sensitivity(self) -> float:
        """TP/(TP + FN); NaN without a positive."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """TN/(TN + FP); NaN without a negative."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        """TP/(TP + FP) at the test set's own prevalence; NaN when nothing is called positive."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """TN/(TN + FN) at the test set's own prevalence; NaN when nothing is called negative."""
        return _share(self.tn, self.tn + self.fn)

    def intervals(self) -> dict[str, Interval]:
        """Wilson intervals of the four shares, over the subjects of one seed."""
        return {
            "sensitivity": wilson(self.tp, self.tp + self.fn),
            "specificity": wilson(self.tn, self.tn + self.fp),
            "ppv": wilson(self.tp, self.tp + self.fp),
            "npv": wilson(self.tn, self.tn + self.fn),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def screen(labels_N: ArrayLike, predicted_SN: ArrayLike) -> tuple[Screening, ...]:
    """Two-class counts of every seed; absent predictions (−1) are left out."""
    return tuple(
        Screening(tp=int(m[1, 1]), fp=int(m[0, 1]), fn=int(m[1, 0]), tn=int(m[0, 0]))
        for m in confusion(labels_N, predicted_SN, 2)
    )


def ppv_at(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Positive predictive value at a stated prevalence (Bayes); NaN where nothing would be called positive."""
    _check(prevalence)
    called = sensitivity * prevalence + (1 - specificity) * (1 - prevalence)
    return sensitivity * prevalence / called if called > 0 else math.nan


def npv_at(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Negative predictive value at a stated prevalence (Bayes); NaN where nothing would be called negative."""
    _check(prevalence)
    called = specificity * (1 - prevalence) + (1 - sensitivity) * prevalence
    return specificity * (1 - prevalence) / called if called > 0 else math.nan


def _check(prevalence: float) -> None:
    if not 0 <= prevalence <= 1:
        raise ValueError(f"prevalence must lie in [0, 1], given {prevalence}")
