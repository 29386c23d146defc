"""SoftMatch: pseudo-labels are weighted by confidence instead of being accepted or rejected (Chen et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy, confidence, snapshot


class SoftMatch(ThresholdPolicy):
    """Weights clips by a truncated Gaussian of the confidence m: exp(−min(m − μ, 0)² · n_σ² / (2 σ²)), 1 above μ.

    μ and σ² are EMAs (with `momentum`) of the batch mean and the unbiased batch variance of m, starting at μ = 1/K and
    σ² = 1 (Chen et al. 2023, section 3.1; their released code uses n_σ = 2). Both are updated with a batch before it is
    weighted; a batch of one clip has no variance and leaves σ² unchanged. The paper's uniform alignment, which rescales
    the probabilities before weighting, is `ssl.threshold.alignment: uniform`; without it, only the weighting is used.
    """

    def __init__(self, settings: Threshold, n_classes: int, n_unlabelled: int) -> None:
        super().__init__(settings, n_classes, n_unlabelled)
        self._mean = torch.tensor(1.0 / n_classes, dtype=torch.float64)
        self._variance = torch.tensor(1.0, dtype=torch.float64)

    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        confidence_B = confidence(probs_BK)[0].double()
        if len(confidence_B) == 0:
            return confidence_B.float()
        keep = self.settings.momentum
        self._mean = keep * self._mean.to(confidence_B.device) + (1 - keep) * confidence_B.mean()
        self._variance = self._variance.to(confidence_B.device)
        if len(confidence_B) > 1:
            self._variance = keep * self._variance + (1 - keep) * confidence_B.var(correction=1)
        below_B = (confidence_B - self._mean).clamp(max=0.0)
        sharpness = self.settings.n_sigma**2 / (2.0 * self._variance.clamp(min=torch.finfo(torch.float64).tiny))
        return torch.exp(-below_B.square() * sharpness).float()

    def threshold(self) -> float:
        """μ, the confidence above which the weight is 1."""
        return float(self._mean)

    def state_dict(self) -> dict[str, Tensor]:
        return {"mean": snapshot(self._mean), "variance": snapshot(self._variance)}

    def _restore(self, state: dict[str, Tensor]) -> None:
        self._mean, self._variance = state["mean"], state["variance"]
