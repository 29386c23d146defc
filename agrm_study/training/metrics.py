"""Metrics for epoch selection; tables compute their metrics from records."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TIE = 1e-12
"""Probabilities within this distance count as equal, so that the order of averaging over windows has no effect."""


def decide(probs_NK: Floats) -> Ints:
    """Class decisions (N,): for two classes, class 1 if p ≥ 0.5 (Song et al. 2026, section 3.3); otherwise the arg max.

    Probabilities within `TIE` count as equal, as in the tables. Ties are resolved in favour of class 1 for two classes,
    and of the lower index otherwise.
    """
    if probs_NK.shape[1] == 2:
        return (probs_NK[:, 1] >= 0.5 - TIE).astype(np.int64)
    decided_N: Ints = (probs_NK >= probs_NK.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
    return decided_N


def classification_metrics(labels_N: Ints, decided_N: Ints, n_classes: int) -> dict[str, float]:
    """accuracy, balanced_accuracy (mean recall over the classes present) and macro_f1 (mean F1 over all classes).

    The F1 score of a class that is neither present nor predicted is 0.

    Args:
        labels_N: True class indices.
        decided_N: Predicted class indices.
        n_classes: K, the number of classes.
    """
    confusion_KK = np.bincount(labels_N * n_classes + decided_N, minlength=n_classes**2).reshape(n_classes, n_classes)
    hits_K = np.diag(confusion_KK)
    present_K, decided_K = confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)
    recall_K = hits_K[present_K > 0] / present_K[present_K > 0]
    f1_K = 2 * hits_K / np.maximum(present_K + decided_K, 1)
    return {
        "accuracy": float(hits_K.sum() / len(labels_N)),
        "balanced_accuracy": float(recall_K.mean()),
        "macro_f1": float(f1_K.mean()),
    }
