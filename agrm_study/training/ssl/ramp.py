"""Ramp-up of the unsupervised loss weight."""

from __future__ import annotations

import math

from agrm_study.study.ssl_settings import Ramp


def ramp_weight(ramp: Ramp, epochs_since_start: int) -> float:
    """Weight λ of the unsupervised loss in an epoch.

    With t = min(epochs_since_start / ramp.epochs, 1):

    - ``linear``: maximum · t (Song et al. 2026, section 3.1: from 0 to 1 over 30 epochs);
    - ``sigmoid``: maximum · exp(−5 (1 − t)²), which starts at 0.0067 · maximum (Tarvainen & Valpola 2017, section 3.4);
    - ``step``: 0 for t < 1, then the maximum.

    Args:
        ramp: Shape, length in epochs and maximum; with a length of 0, the weight is at its maximum from the start.
        epochs_since_start: Number of epochs since the teacher started; 0 in its first epoch.

    Raises:
        ValueError: If `epochs_since_start` is negative.
    """
    if epochs_since_start < 0:
        raise ValueError(f"epochs_since_start must be at least 0, got {epochs_since_start}")
    if epochs_since_start >= ramp.epochs:
        return ramp.maximum
    t = epochs_since_start / ramp.epochs
    if ramp.shape == "linear":
        return ramp.maximum * t
    if ramp.shape == "sigmoid":
        return ramp.maximum * math.exp(-5.0 * (1.0 - t) ** 2)
    return 0.0
