"""Temperature scaling: the softmax temperature that calibrates a network on validation (Guo et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BOUNDS = (0.05, 20.0)
"""Search interval; without a lower bound, a perfectly classified validation part would give a temperature of 0."""
UNSCALED = 1.0
"""The temperature in use where the data identify none."""


def subject_log_probs(
    logits_NK: NDArray[np.floating], owners_N: Ints, n_subjects: int, temperature: float = 1.0
) -> Floats:
    """Logarithms (S, K) of the subjects' class probabilities, the mean of softmax(z / T) over the windows of a subject.

    Args:
        logits_NK: Logits z of each window.
        owners_N: Index of each window's subject; every subject has at least one window.
        n_subjects: S, the number of subjects.
        temperature: T.
    """
    with np.errstate(invalid="ignore"):  # NaN logits give NaN probabilities
        window_log_probs_NK = log_softmax(logits_NK.astype(np.float64) / temperature, axis=1)
        highest_SK = np.full((n_subjects, logits_NK.shape[1]), -np.inf)
        np.maximum.at(highest_SK, owners_N, window_log_probs_NK)
        sums_SK = np.zeros_like(highest_SK)
        np.add.at(sums_SK, owners_N, np.exp(window_log_probs_NK - highest_SK[owners_N]))
        counts_S = np.bincount(owners_N, minlength=n_subjects)
        log_probs: Floats = highest_SK + np.log(sums_SK) - np.log(counts_S)[:, None]
    return log_probs


def fit_temperature(logits_NK: NDArray[np.floating], owners_N: Ints, labels_S: Ints) -> float | None:
    """The temperature within `BOUNDS` that minimises the mean negative log-likelihood of subjects (Guo et al. 2017).

    None where the minimum is within 1 % of a bound, or the loss at a bound is as small (it is 0 over a range of
    temperatures when every subject is classified with certainty): these data do not identify the temperature.

    Args:
        logits_NK: Logits of each validation window.
        owners_N: Index of each window's subject.
        labels_S: Class index of each subject.
    """
    subjects = np.arange(len(labels_S))

    def loss(log_temperature: float) -> float:
        log_probs = subject_log_probs(logits_NK, owners_N, len(labels_S), math.exp(log_temperature))
        return float(-log_probs[subjects, labels_S].mean())

    objective: Callable[[float], float] = loss
    low, high = BOUNDS
    found = minimize_scalar(objective, bounds=(math.log(low), math.log(high)), method="bounded")
    temperature = math.exp(found.x)
    identified = low * 1.01 < temperature < high / 1.01 and found.fun < min(loss(math.log(low)), loss(math.log(high)))
    return temperature if identified else None
