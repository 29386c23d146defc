"""Safetensors file with the weights of a user-defined trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from agrm_study.study.errors import InputError

RULE: Final = "`weights` must return a mapping from names to arrays of numbers"
RESERVED: Final = "__metadata__"
"""Name that the format uses for its own header entry."""


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
        raise InputError(RULE, where=where, given=type(weights).__name__)
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray | np.generic):
            raise InputError(RULE, where=where, given=f"{name}: {type(value).__name__}", allowed="NumPy arrays")
        if name == RESERVED or not _is_unicode(name):
            rule = f"names in `weights` must be valid Unicode text other than {RESERVED}, which safetensors reserves"
            raise InputError(rule, where=where, given=name.encode(errors="backslashreplace").decode())
        if np.ma.is_masked(value):
            hint = "Replace masked values, e.g. with `array.filled(0.0)`."
            raise InputError(RULE, where=where, given=f"{name}: masked values", allowed="NumPy arrays", hint=hint)
    if not weights:
        return b""
    try:
        content: bytes = save({name: np.asarray(value, order="C") for name, value in weights.items()})
    except (KeyError, ValueError, SafetensorError) as error:  # an element type that the format does not support
        kinds = ", ".join(sorted({str(value.dtype) for value in weights.values()}))
        raise InputError(RULE, where=where, given=kinds, allowed="booleans, integers, floats and complex64") from error
    return content


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
