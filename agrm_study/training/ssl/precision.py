"""In which precision are probabilities and losses computed? In float32 or better, whatever autocast chose before."""

from __future__ import annotations

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32 if they came in half precision; otherwise the very same tensor."""
    return values.float() if values.dtype in _HALF else values
