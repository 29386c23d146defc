"""What turns a pooled vector into one output a class?"""

from __future__ import annotations

from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@final
class CosineClassifier(nn.Module):
    """Cosines of the angles between the vector and a direction for each class (ArcFace; Deng et al. 2019).

    Outputs lie in [-1, 1], computed in float32 at least. The loss scales them and, where labels are given, adds the
    angular margin; the network never does.

    Args:
        n_in: Length of the vector.
        n_outputs: K, outputs.
    """

    def __init__(self, n_in: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_outputs, n_in))

    def forward(self, pooled_BP: Tensor) -> Tensor:
        # A cosine in half precision has no usable arccosine near 1.
        with torch.autocast(pooled_BP.device.type, enabled=False):
            pooled_BP = pooled_BP.to(torch.promote_types(pooled_BP.dtype, torch.float32))
            return F.linear(F.normalize(pooled_BP, dim=1), F.normalize(self.weight, dim=1))

    def extra_repr(self) -> str:
        return f"in_features={self.weight.shape[1]}, out_features={self.weight.shape[0]}"


def make_classifier(name: Literal["linear", "arcface"], n_in: int, n_outputs: int) -> nn.Linear | CosineClassifier:
    """The last layer of a network, its values not yet drawn.

    Args:
        name: `linear` returns logits, `arcface` cosines.
        n_in: Length of the pooled vector.
        n_outputs: K, outputs.
    """
    return nn.Linear(n_in, n_outputs) if name == "linear" else CosineClassifier(n_in, n_outputs)


def reset_classifier(classifier: nn.Linear | CosineClassifier, std: float) -> None:
    """Draw the weights from a normal of the given standard deviation; the bias is 0."""
    nn.init.normal_(classifier.weight, std=std)
    if isinstance(classifier, nn.Linear):
        nn.init.zeros_(classifier.bias)
