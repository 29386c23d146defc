"""Classifiers that map a pooled vector to the network's outputs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@final
class CosineClassifier(nn.Module):
    """Cosines of the angles between the pooled vector and one direction per class (ArcFace; Deng et al. 2019).

    Outputs (B, K) are in [-1, 1] and are computed in float32 or higher precision. The loss scales them and adds the
    angular margin for the true class.

    Args:
        n_in: Length of the pooled vector.
        n_outputs: K, the number of outputs.
    """

    def __init__(self, n_in: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_outputs, n_in))

    def forward(self, pooled_BP: Tensor) -> Tensor:
        # In half precision, cosines near 1 are too coarse for the arccosine. Autocast does not apply to meta tensors.
        device = pooled_BP.device.type
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            pooled_BP = pooled_BP.to(torch.promote_types(pooled_BP.dtype, torch.float32))
            return F.linear(F.normalize(pooled_BP, dim=1), F.normalize(self.weight, dim=1))

    def extra_repr(self) -> str:
        return f"in_features={self.weight.shape[1]}, out_features={self.weight.shape[0]}"


def make_classifier(name: Literal["linear", "arcface"], n_in: int, n_outputs: int) -> nn.Linear | CosineClassifier:
    """Create the last layer of a network without initialising it.

    Args:
        name: `linear` outputs logits, `arcface` outputs cosines.
        n_in: Length of the pooled vector.
        n_outputs: K, the number of outputs.
    """
    return nn.Linear(n_in, n_outputs) if name == "linear" else CosineClassifier(n_in, n_outputs)


def reset_classifier(classifier: nn.Linear | CosineClassifier, std: float) -> None:
    """Sample the weights from a normal distribution with standard deviation `std`; set the bias to 0."""
    nn.init.normal_(classifier.weight, std=std)
    if isinstance(classifier, nn.Linear):
        nn.init.zeros_(classifier.bias)
