"""Safetensors file with the weights of a user-defined trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from agrm_study.study.errors import InputError

RULE: Final = "`weights` must return arrays of numbers by name"


def weights_file(weights: object, trainer: str) -> bytes:
    """The content of a safetensors file with the given arrays; empty without arrays.

    Args:
        weights: Result of `Trainer.weights`.
        trainer: Name of the trainer in messages.

    Raises:
        InputError: If the result is not a mapping from names to NumPy arrays of numbers.
    """
    where = f"trainer {trainer}"
    if not isinstance(weights, Mapping):
        raise InputError(RULE, where=where, given=type(weights).__name__)
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray | np.generic):
            raise InputError(RULE, where=where, given=f"{name}: {type(value).__name__}", allowed="NumPy arrays")
    if not weights:
        return b""
    try:
        content: bytes = save({name: np.asarray(value, order="C") for name, value in weights.items()})
    except (KeyError, ValueError, SafetensorError) as error:  # an element type that the format does not support
        kinds = ", ".join(sorted({str(value.dtype) for value in weights.values()}))
        raise InputError(RULE, where=where, given=kinds, allowed="booleans, integers and floats") from error
    return content
