"""Validation of the results of user-defined trainers: losses, predictions and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save

from agrm_study.study.errors import InputError
from agrm_study.training.failures import NanLossError

TOLERANCE: Final = 1e-3
"""Maximum deviation of a sum of probabilities from 1."""
NUMBERS: Final = "fiub"
"""Kinds of NumPy data types that a probability may have."""
WEIGHTS_RULE: Final = "`weights` must return a mapping from names to arrays of numbers"
RESERVED: Final = "__metadata__"
"""Name that the format uses for its own header entry."""


def training_loss(returned: object, epoch: int, trainer: str) -> float | None:
    """The loss in the result of `Trainer.run_epoch`; None if the result is None or empty.

    Args:
        returned: Result of `Trainer.run_epoch`.
        epoch: Number of the epoch, from 1.
        trainer: Name of the trainer, for messages.

    Raises:
        InputError: If the result is anything other than a mapping with a number as `loss`.
        NanLossError: If the loss is infinite or NaN.
    """
    if returned is None or (isinstance(returned, Mapping) and not returned):
        return None
    rule, where = '`run_epoch` must return {"loss": NUMBER} or nothing', f"trainer {trainer}"
    if not isinstance(returned, Mapping):
        raise InputError(rule, where=where, given=type(returned).__name__)
    if "loss" not in returned:
        raise InputError(rule, where=where, given=f"the keys {', '.join(map(str, returned))}", allowed="loss")
    loss = returned["loss"]
    try:
        if isinstance(loss, str | bytes):
            raise TypeError
        number = float(loss)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor with several elements raises RuntimeError
        raise InputError(rule, where=where, given=f"a loss of type {type(loss).__name__}") from error
    if not math.isfinite(number):
        raise NanLossError(epoch, 0, {"mean training loss": number})
    return number


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
    if returned is None:
        raise InputError("`predict` must return an array", where=where, given="nothing")
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


def weights_file(weights: object, trainer: str) -> bytes:
    """The content of a safetensors file with the given arrays; empty if there are no arrays.

    Args:
        weights: Result of `Trainer.weights`.
        trainer: Name of the trainer, for messages.

    Raises:
        InputError: If the result is not a mapping from names to NumPy arrays of numbers, or cannot be saved unchanged.
    """
    where = f"trainer {trainer}"
    if not isinstance(weights, Mapping):
        raise InputError(WEIGHTS_RULE, where=where, given=type(weights).__name__)
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray | np.generic):
            raise InputError(WEIGHTS_RULE, where=where, given=f"{name}: {type(value).__name__}", allowed="NumPy arrays")
        if name == RESERVED or not _is_unicode(name):
            rule = f"names in `weights` must be valid Unicode text other than {RESERVED}, which safetensors reserves"
            raise InputError(rule, where=where, given=name.encode(errors="backslashreplace").decode())
        if np.ma.is_masked(value):
            hint = "Replace masked values, e.g. with `array.filled(0.0)`."
            raise InputError(
                WEIGHTS_RULE, where=where, given=f"{name}: masked values", allowed="NumPy arrays", hint=hint
            )
    if not weights:
        return b""
    try:
        content: bytes = save({name: np.asarray(value, order="C") for name, value in weights.items()})
    except (KeyError, ValueError, SafetensorError) as error:  # an element type that the format does not support
        kinds = ", ".join(sorted({str(value.dtype) for value in weights.values()}))
        raise InputError(
            WEIGHTS_RULE, where=where, given=kinds, allowed="booleans, integers, floats and complex64"
        ) from error
    return content


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
