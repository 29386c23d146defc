"""Predictions of a user-defined trainer."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.errors import InputError

TOLERANCE: Final = 1e-3
"""Maximum deviation of a sum of probabilities from 1."""
NUMBERS: Final = "fiu"
"""Kinds of NumPy data types that a probability may have."""


def predicted_probabilities(returned: object, samples: int, classes: int, trainer: str) -> NDArray[np.float64]:
    """Validates the result of `Trainer.predict`; returns the probabilities, of shape (samples, classes).

    Args:
        returned: Result of `Trainer.predict`.
        samples: Number of samples.
        classes: Number of classes.
        trainer: Name of the trainer, for messages.

    Raises:
        InputError: If the result is not an array of that shape, or its rows are not probabilities that sum to 1.
    """
    where, shape = f"trainer {trainer}", (samples, classes)
    try:
        probs_NK: NDArray[Any] = np.asarray(returned)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of different lengths; a tensor with gradients
        raise InputError("`predict` must return an array", where=where, given=type(returned).__name__) from error
    if probs_NK.dtype.kind not in NUMBERS:
        raise InputError("`predict` must return numbers", where=where, given=f"an array of type {probs_NK.dtype}")
    if probs_NK.shape != shape:
        rule = f"`predict` must return one row per sample and one column per class, {shape}"
        raise InputError(rule, where=where, given=probs_NK.shape)
    probs_NK = probs_NK.astype(np.float64)
    valid_N = np.isfinite(probs_NK).all(axis=1) & (probs_NK >= 0).all(axis=1)
    valid_N &= abs(probs_NK.sum(axis=1) - 1) <= TOLERANCE
    if not valid_N.all():
        first = probs_NK[int(np.argmin(valid_N))]
        raise InputError("`predict` must return probabilities that sum to 1", where=where, given=first.tolist())
    return probs_NK
