"""Fixed threshold (FixMatch, Sohn et al. 2020; Song et al. 2026 use τ = 0.8)."""

from __future__ import annotations

from torch import Tensor

from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy, confidence, indicator


class Fixed(ThresholdPolicy):
    """Accepts clips with confidence m > τ (strictly); stateless."""

    keeps_average = False

    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        confidence_B, _ = confidence(probs_BK)
        return indicator(confidence_B > self.settings.tau)

    def threshold(self) -> float:
        return self.settings.tau
