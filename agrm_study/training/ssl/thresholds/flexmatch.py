"""FlexMatch: lower thresholds for classes that are learned slowly (Zhang et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy, confidence, indicator, snapshot

UNUSED = -1
"""Placeholder class of a clip whose confidence has never exceeded τ."""


class FlexMatch(ThresholdPolicy):
    """Accepts clips with confidence m > T(c), T(c) = τ · β_c / (2 − β_c), β_c = n_c / max(max_k n_k, unused).

    n_c is the number of clips whose latest confident prediction (m > τ) was class c, and `unused` is the number of
    clips without a confident prediction (curriculum pseudo-labelling with warm-up and the convex mapping; Zhang et al.
    2021, equations 5, 7, 11 and algorithm 1). A batch is evaluated with the counts of previous batches and then added
    to them. T = 0 until the first confident clip. The authors' code also accepts at equality and is otherwise
    identical.
    """

    keeps_average = False

    def __init__(self, settings: Threshold, n_classes: int, n_unlabelled: int) -> None:
        super().__init__(settings, n_classes, n_unlabelled)
        self._classes_N = torch.full((n_unlabelled,), UNUSED, dtype=torch.int64)

    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        """See `ThresholdPolicy.select`.

        Raises:
            ValueError: If an id is outside [0, n_unlabelled). Checked only on the CPU, to avoid synchronization with a
                GPU.
        """
        if sample_ids_B.device.type == "cpu" and ((sample_ids_B < 0) | (sample_ids_B >= self.n_unlabelled)).any():
            raise ValueError(f"sample ids must be in [0, {self.n_unlabelled}), got {sample_ids_B.tolist()}")
        confidence_B, labels_B = confidence(probs_BK)
        self._classes_N = self._classes_N.to(confidence_B.device)
        thresholds_K = self._thresholds().to(confidence_B.dtype)
        accepted_B = confidence_B > thresholds_K[labels_B]
        self._remember(sample_ids_B, labels_B, confidence_B > self.settings.tau)
        return indicator(accepted_B)

    def _thresholds(self) -> Tensor:
        kinds = torch.arange(UNUSED, self.n_classes, device=self._classes_N.device)
        counts = (self._classes_N[:, None] == kinds).sum(dim=0).double()
        beta_K = counts[1:] / counts.max().clamp(min=1.0)
        return self.settings.tau * beta_K / (2.0 - beta_K)

    def _remember(self, sample_ids_B: Tensor, labels_B: Tensor, confident_B: Tensor) -> None:
        """Store the class of each confident clip; for duplicates in a batch, the last one is used on every device."""
        positions_B = torch.arange(len(labels_B), device=labels_B.device)
        last_N = torch.full_like(self._classes_N, UNUSED).scatter_reduce_(
            0, sample_ids_B, torch.where(confident_B, positions_B, UNUSED), reduce="amax"
        )
        if len(labels_B):
            self._classes_N = torch.where(last_N == UNUSED, self._classes_N, labels_B[last_N.clamp(min=0)])

    def threshold(self) -> float:
        return float(self._thresholds().mean())

    def state_dict(self) -> dict[str, Tensor]:
        return {"classes": snapshot(self._classes_N)}

    def _restore(self, state: dict[str, Tensor]) -> None:
        self._classes_N = state["classes"]
