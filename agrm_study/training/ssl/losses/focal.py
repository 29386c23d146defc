"""Focal loss, which down-weights easy clips (Lin et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.training.ssl.losses.supervised import SupervisedLoss


class Focal(SupervisedLoss):
    """−(1 − p_y)^γ log p_y, averaged over the batch (Lin et al. 2017, equation 4, with softmax and without α weights).

    γ = 0 gives the cross-entropy. 1 − p_y is computed as −expm1(log p_y), which is accurate for p_y close to 1.
    """

    smooths = False

    def __call__(self, outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
        log_true_B = -F.nll_loss(self.log_probs(outputs_BO), labels_B, reduction="none")
        if self.settings.focal_gamma == 0:
            return -log_true_B.mean()
        # Clamping keeps the derivative of x^γ finite at x = 0 for γ < 1.
        missing_B = (-torch.expm1(log_true_B)).clamp(min=torch.finfo(log_true_B.dtype).eps)
        return -(missing_B.pow(self.settings.focal_gamma) * log_true_B).mean()
