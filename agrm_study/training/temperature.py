"""Class probabilities of subjects from the logits of their windows, with a softmax temperature (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNSCALED = 1.0
"""The temperature used if it is not identifiable from the data."""


def subject_log_probs(
    logits_NK: NDArray[np.floating], owners_N: Ints, n_subjects: int, temperature: float = 1.0
) -> Floats:
    """Logarithms (S, K) of the subjects' class probabilities, which are means of softmax(z / T) over their windows.

    Args:
        logits_NK: Logits z of each window.
        owners_N: Index of each window's subject; every subject has at least one window.
        n_subjects: S, the number of subjects.
        temperature: T.
    """
    with np.errstate(invalid="ignore"):  # NaN logits result in NaN probabilities
        window_log_probs_NK = log_softmax(logits_NK.astype(np.float64) / temperature, axis=1)
        highest_SK = np.full((n_subjects, logits_NK.shape[1]), -np.inf)
        np.maximum.at(highest_SK, owners_N, window_log_probs_NK)
        sums_SK = np.zeros_like(highest_SK)
        np.add.at(sums_SK, owners_N, np.exp(window_log_probs_NK - highest_SK[owners_N]))
        counts_S = np.bincount(owners_N, minlength=n_subjects)
        log_probs: Floats = highest_SK + np.log(sums_SK) - np.log(counts_S)[:, None]
    return log_probs
