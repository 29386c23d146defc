"""Do probabilities mean what they say? Reliability bins, ECE, Brier score, temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.probabilities import decide


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence bins (lo, hi]; empty bins are NaN in `confidence` and `accuracy`."""

    edges: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: Σ (count/n)·|accuracy − confidence| (Guo et al. 2017); NaN without subjects."""
        n = self.count.sum()
        if n == 0:
            return float("nan")
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((self.count[filled] / n * gaps).sum())


def reliability(probs_NK: ArrayLike, labels_N: ArrayLike, bins: int = 15) -> Reliability:
    """Equal-width bins (lo, hi] of the top-class probability, with the share of right decisions (`decide`).

    A confidence of 0 joins the first bin.
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


def brier(probs_NK: ArrayLike, labels_N: ArrayLike) -> float:
    """Multi-class Brier score, mean over subjects of Σ_k (p_k − 1[y = k])² (Brier 1950; in [0, 2])."""
    probs = np.asarray(probs_NK, dtype=np.float64)
    truth = np.asarray(labels_N, dtype=np.int64)[:, None] == np.arange(probs.shape[1])
    return float(((probs - truth) ** 2).sum(axis=1).mean())


def log_loss(logits_NK: ArrayLike, labels_N: ArrayLike, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of logits divided by a temperature."""
    z = np.asarray(logits_NK, dtype=np.float64) / temperature
    labels = np.asarray(labels_N, dtype=np.int64)
    return float((logsumexp(z, axis=1) - z[np.arange(labels.size), labels]).mean())


def fit_temperature(logits_NK: ArrayLike, labels_N: ArrayLike, low: float = 0.05, high: float = 20.0) -> float | None:
    """Temperature in (low, high) that minimises the log-loss (Guo et al. 2017); to be fitted on validation only.

    None where the minimum is within 1 % of a bound: these data do not identify the temperature.
    """
    best = minimize_scalar(
        lambda log_t: log_loss(logits_NK, labels_N, float(np.exp(log_t))),
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(best.x))
    return temperature if low * 1.01 < temperature < high / 1.01 else None
