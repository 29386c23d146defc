"""Thresholds of a two-class decision for a required sensitivity or specificity."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Bools, Floats

Requirement = Literal["sensitivity", "specificity"]
TOLERANCE = 1e-12
"""Tolerance within which shares count as equal."""


def threshold_for(positive_N: ArrayLike, scores_N: ArrayLike, required: Requirement, least: float) -> float | None:
    """The threshold t of the decision ``score ≥ t`` that reaches a required sensitivity or specificity and
    reduces the other as little as possible.

    For a required sensitivity, this is the highest threshold that reaches it; for a required specificity, the lowest.
    The threshold is one of the scores, or just above the highest score if the required specificity is only reached
    when no subject is classified as positive.

    Args:
        positive_N: Whether each subject is positive.
        scores_N: Probability of the positive class.
        required: The metric that must reach `least`.
        least: Minimum value of this metric, in (0, 1].

    Returns:
        The threshold; None if there are no positive or no negative subjects.
    """
    positive: Bools = np.asarray(positive_N, dtype=bool)
    scores: Floats = np.asarray(scores_N, dtype=np.float64)
    if positive.all() or not positive.any():
        return None
    thresholds = np.append(np.unique(scores), np.nextafter(scores.max(), np.inf))
    decided_TN = scores[None, :] >= thresholds[:, None]
    if required == "sensitivity":
        reached = decided_TN[:, positive].mean(axis=1) >= least - TOLERANCE
        return float(thresholds[reached].max())
    reached = (~decided_TN[:, ~positive]).mean(axis=1) >= least - TOLERANCE
    return float(thresholds[reached].min())
