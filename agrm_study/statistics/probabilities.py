"""Class probabilities and decisions for each subject, from the logits of its windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats, Ints

TIE = 1e-12
"""Tolerance within which probabilities and differences of metrics count as equal, so that rounding has no effect."""


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Softmax over the last axis in float64, with the logits divided by a temperature > 0.

    Raises:
        ValueError: If the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    z = np.array(logits, dtype=np.float64)
    if temperature != 1.0:
        z /= temperature
    z -= z.max(axis=-1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=-1, keepdims=True)
    return z


def average_by_group(probs_RK: ArrayLike, group_R: ArrayLike, n_groups: int) -> tuple[Floats, Ints]:
    """Mean probabilities (n_groups, K) of each group of rows (windows of a subject), and the number of rows per group.

    Groups without rows are NaN.
    """
    probs = np.asarray(probs_RK, dtype=np.float64)
    group = np.asarray(group_R, dtype=np.int64)
    rows: Ints = np.bincount(group, minlength=n_groups).astype(np.int64)
    sums = np.stack([np.bincount(group, weights=probs[:, k], minlength=n_groups) for k in range(probs.shape[1])], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / rows[:, None], rows


def decide(probs: ArrayLike) -> Ints:
    """Class index by subject: the most probable class; with two classes, class 1 if p₁ ≥ 0.5; −1 for NaN.

    Probabilities within `TIE` of each other count as equal, so that the order of averaging has no effect. With three
    or more classes, ties go to the lower index.
    """
    p = np.asarray(probs, dtype=np.float64)
    absent = np.isnan(p).any(axis=-1)
    if p.shape[-1] == 2:
        chosen = p[..., 1] >= 0.5 - TIE
    else:
        known = np.where(np.isnan(p), -np.inf, p)
        chosen = (known >= known.max(axis=-1, keepdims=True) - TIE).argmax(axis=-1)
    return np.where(absent, -1, chosen).astype(np.int64)
