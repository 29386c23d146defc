"""Minimum precision of probabilities and losses: float32, regardless of autocast."""

from __future__ import annotations

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32 if they are in half precision; otherwise the same tensor."""
    return values.float() if values.dtype in _HALF else values
