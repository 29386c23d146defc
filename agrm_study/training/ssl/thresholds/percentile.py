"""Per-batch threshold at a percentile of the confidence, which accepts a fixed fraction of each batch."""

from __future__ import annotations

import torch
from torch import Tensor

from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy, confidence, indicator, snapshot


class Percentile(ThresholdPolicy):
    """Accepts clips with confidence m strictly above a percentile of the batch's confidences.

    The percentile is interpolated linearly between the sorted confidences (numpy's default). If all confidences of a
    batch are equal, no clip is accepted. `threshold` returns the value for the latest batch, or 1.0 before the first
    batch.
    """

    keeps_average = False

    def __init__(self, settings: Threshold, n_classes: int, n_unlabelled: int) -> None:
        super().__init__(settings, n_classes, n_unlabelled)
        self._latest = torch.tensor(1.0, dtype=torch.float64)

    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        confidence_B, _ = confidence(probs_BK)
        if len(confidence_B) == 0:
            return indicator(confidence_B)
        cut = torch.quantile(confidence_B.double(), self.settings.percentile / 100.0)
        self._latest = cut
        return indicator(confidence_B > cut.to(confidence_B.dtype))

    def threshold(self) -> float:
        return float(self._latest)

    def state_dict(self) -> dict[str, Tensor]:
        return {"latest": snapshot(self._latest)}

    def _restore(self, state: dict[str, Tensor]) -> None:
        self._latest = state["latest"]
