"""ArcFace: cross-entropy with an additive angular margin (Deng et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.study.recipe import Loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss


class ArcFace(SupervisedLoss):
    """Cross-entropy of s·cos θ_k, with margin m added to the angle of the true class (Deng et al. 2019, equation 3).

    The network's outputs must be cosines in [−1, 1] (`model.classifier: arcface`). Scale s and margin m (radians) are
    `loss.arcface_scale` and `loss.arcface_margin`. If θ + m exceeds π, where the cosine would increase again, the true
    class uses cos θ − m·sin m, as in the authors' released code. Class probabilities are the softmax of s·cos θ,
    without the margin.
    """

    def __init__(self, settings: Loss, classes: Sequence[str], class_counts: Sequence[int]) -> None:
        super().__init__(settings, classes, class_counts)
        self.scale = settings.arcface_scale
        self.margin = settings.arcface_margin

    def __call__(self, outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
        cosines_BK = super().logits(outputs_BO)
        true_BK = F.one_hot(labels_B, cosines_BK.shape[1]).bool()
        # Clamping keeps the gradient finite at θ = 0 and π, and the root real if a cosine exceeds 1 due to rounding.
        sines_BK = (1.0 - cosines_BK.square()).clamp(min=torch.finfo(cosines_BK.dtype).eps).sqrt()
        widened_BK = cosines_BK * math.cos(self.margin) - sines_BK * math.sin(self.margin)
        beyond_BK = cosines_BK < -math.cos(self.margin)
        widened_BK = torch.where(beyond_BK, cosines_BK - self.margin * math.sin(self.margin), widened_BK)
        logits_BK = self.scale * torch.where(true_BK, widened_BK, cosines_BK)
        return F.cross_entropy(logits_BK, labels_B, label_smoothing=self.settings.label_smoothing)

    def logits(self, outputs_BO: Tensor) -> Tensor:
        """s·cos θ (B, K)."""
        return self.scale * super().logits(outputs_BO)
