"""Calibration of probabilities: reliability bins, ECE, Brier score, recalibration, temperature."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.probabilities import decide

TEMPERATURES = (0.05, 20.0)
"""Bounds of the search for a temperature."""
LEAST: Final = 1e-9
"""Minimum distance of a probability from 0 and 1, which keeps its logit finite."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence bins (lo, hi]; empty bins are NaN in `confidence` and `accuracy`."""

    edges: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: Σ (count/n)·|accuracy − confidence| (Guo et al. 2017); NaN if empty."""
        n = self.count.sum()
        if n == 0:
            return float("nan")
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((self.count[filled] / n * gaps).sum())


def reliability(probs_NK: ArrayLike, labels_N: ArrayLike, bins: int = 15) -> Reliability:
    """Equal-width bins (lo, hi] of the top-class probability, with the share of correct decisions (`decide`).

    A confidence of 0 falls into the first bin.
    """
    probs = np.asarray(probs_NK, dtype=np.float64)
    labels = np.asarray(labels_N, dtype=np.int64)
    confidence = probs.max(axis=1)
    right = decide(probs) == labels
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count: Ints = np.bincount(index, minlength=bins).astype(np.int64)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges,
            count,
            np.bincount(index, weights=confidence, minlength=bins) / count,
            np.bincount(index, weights=right.astype(np.float64), minlength=bins) / count,
        )


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of nearly equal size by confidence of the decisions: mean confidence, accuracy and size, (G,) each."""

    confidence: Floats
    accuracy: Floats
    count: Ints


def grouped(probs_NK: ArrayLike, labels_N: ArrayLike, groups: int) -> Groups:
    """Groups of decisions by quantiles of their confidence; fewer groups if there are fewer decisions."""
    probs = np.asarray(probs_NK, dtype=np.float64)
    confidence = probs.max(axis=1)
    right = decide(probs) == np.asarray(labels_N, dtype=np.int64)
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(groups, len(confidence)))
    return Groups(
        np.array([confidence[p].mean() for p in parts]),
        np.array([right[p].mean() for p in parts]),
        np.array([p.size for p in parts], dtype=np.int64),
    )


def brier(probs_NK: ArrayLike, labels_N: ArrayLike) -> float:
    """Multi-class Brier score, mean over subjects of Σ_k (p_k − 1[y = k])² (Brier 1950; in [0, 2])."""
    probs = np.asarray(probs_NK, dtype=np.float64)
    truth = np.asarray(labels_N, dtype=np.int64)[:, None] == np.arange(probs.shape[1])
    return float(((probs - truth) ** 2).sum(axis=1).mean())


def brier_influence(probs_NK: ArrayLike, labels_N: ArrayLike) -> Floats:
    """Influence (N,) of each subject on the Brier score: its loss minus the mean loss."""
    probs = np.asarray(probs_NK, dtype=np.float64)
    truth = np.asarray(labels_N, dtype=np.int64)[:, None] == np.arange(probs.shape[1])
    loss = ((probs - truth) ** 2).sum(axis=1)
    return np.asarray(loss - loss.mean())


def ece_influence(probs_NK: ArrayLike, labels_N: ArrayLike, bins: int = 15) -> Floats:
    """Jackknife influence (N,) of each subject on the expected calibration error: (N − 1)·(ECE − ECE without the
    subject)."""
    probs = np.asarray(probs_NK, dtype=np.float64)
    n, confidence = probs.shape[0], probs.max(axis=1)
    gap = (decide(probs) == np.asarray(labels_N)) - confidence
    index = np.clip(np.searchsorted(np.linspace(0.0, 1.0, bins + 1), confidence, side="left") - 1, 0, bins - 1)
    by_bin = np.bincount(index, weights=gap, minlength=bins)
    total = np.abs(by_bin).sum()
    without = (total - np.abs(by_bin[index]) + np.abs(by_bin[index] - gap)) / max(n - 1, 1)
    return np.asarray((n - 1) * (total / n - without))


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Logistic recalibration of a two-class score: slope, intercept, and the influence (N,) of each subject on them.

    Attributes:
        slope: Slope of a logistic regression of the outcome on the logit of the score; 1 is ideal, and values below 1
            indicate overconfidence.
        intercept: Calibration in the large: the intercept with the slope fixed at 1; 0 is ideal, and values above 0
            mean that the positive class is more frequent than predicted.
    """

    slope: float
    intercept: float
    slope_influence: Floats
    intercept_influence: Floats


def recalibrate(positive_N: ArrayLike, probability_N: ArrayLike) -> Recalibration | None:
    """Calibration slope and intercept (Cox 1958; Van Calster et al. 2019) by maximum likelihood (statsmodels).

    The influence is the infinitesimal jackknife N·H⁻¹·x·(y − p), where H is the Fisher information.

    Returns:
        None if the estimates do not exist: a single class, or scores that separate the classes.
    """
    y, z = np.asarray(positive_N, dtype=np.float64), logits_of(probability_N)
    both = logistic_regression(y, z)
    if both is None:
        return None
    x = np.column_stack([np.ones_like(z), z])
    large = _binomial_fit(y, x[:, :1], offset=z)
    slope, intercept = float(both.params[1]), float(large.params[0])
    if not (math.isfinite(slope) and math.isfinite(intercept) and abs(slope) < 1e3):
        return None
    fitted, one = both.fittedvalues, large.fittedvalues
    information = (x * (fitted * (1 - fitted))[:, None]).T @ x
    scores = x * (y - fitted)[:, None]
    n = y.size
    return Recalibration(
        slope,
        intercept,
        np.asarray(n * np.linalg.solve(information, scores.T)[1]),
        np.asarray(n * (y - one) / (one * (1 - one)).sum()),
    )


def logits_of(probability_N: ArrayLike) -> Floats:
    """Logits of probabilities, clipped to [`LEAST`, 1 − `LEAST`]."""
    p = np.clip(np.asarray(probability_N, dtype=np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(p) - np.log1p(-p))


def logistic_regression(positive_N: Floats, logits_N: Floats) -> Any:
    """The statsmodels results of a logistic regression of the outcome (0 or 1) on a logit, with an intercept.

    Returns:
        None if the estimate does not exist: a single class, or logits that are constant or separate the classes.
    """
    positives, negatives = logits_N[positive_N == 1], logits_N[positive_N == 0]
    if not positives.size or not negatives.size or np.ptp(logits_N) == 0:
        return None
    if positives.min() > negatives.max() or positives.max() < negatives.min():
        return None
    return _binomial_fit(positive_N, np.column_stack([np.ones_like(logits_N), logits_N]))


def _binomial_fit(y: Floats, x: Floats, offset: Floats | None = None) -> Any:
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GLM(y, x, family=Binomial(), offset=offset).fit()


def fit_temperature(log_probs_at: Callable[[float], Floats], labels_N: ArrayLike) -> float | None:
    """Temperature within `TEMPERATURES` that minimises the log-loss (Guo et al. 2017); pass validation data only.

    Args:
        log_probs_at: Returns the logarithms (N, K) of the subjects' class probabilities at a temperature.
        labels_N: Class index of each subject.

    Returns:
        None if the minimum is within 1 % of a bound, or if the log-loss at a bound is equally small (it is 0 over a
        range of temperatures when every subject is classified with certainty): these data do not identify the
        temperature.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    low, high = TEMPERATURES

    def loss(log_t: float) -> float:
        return float(-log_probs_at(float(np.exp(log_t)))[np.arange(labels.size), labels].mean())

    best = scipy.optimize.minimize_scalar(
        loss,
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(best.x))
    identified = low * 1.01 < temperature < high / 1.01 and best.fun < min(loss(np.log(low)), loss(np.log(high)))
    return temperature if identified else None


def temperature_of(logits_NK: Floats, labels_N: ArrayLike) -> float | None:
    """`fit_temperature` for a softmax: the fitted temperature by which the logits (N, K) are divided."""

    def log_probs_at(temperature: float) -> Floats:
        scaled = logits_NK / temperature
        return np.asarray(scaled - scipy.special.logsumexp(scaled, axis=1, keepdims=True))

    return fit_temperature(log_probs_at, labels_N)
