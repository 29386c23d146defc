"""Relative threshold of AdaMatch: τ times the confidence on labelled clips (Berthelot et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy, confidence, indicator, snapshot


class Relative(ThresholdPolicy):
    """Accepts clips with confidence m > c_τ, c_τ = τ · (mean confidence on the labelled clips of the step).

    (Berthelot et al. 2022, section 3.3.) The labelled confidence is the student's confidence on its training view,
    which is weakly augmented with `augment.labelled: weak`, as in the paper. The paper's method also accepts at
    equality, interpolates logits at random and aligns distributions (`alignment: predictions`); the interpolation is
    not included. Before the first labelled batch, the labelled confidence is 1.
    """

    keeps_average = False

    def __init__(self, settings: Threshold, n_classes: int, n_unlabelled: int) -> None:
        super().__init__(settings, n_classes, n_unlabelled)
        self._labelled = torch.tensor(1.0, dtype=torch.float64)

    def observe(self, labelled_probs_BK: Tensor) -> None:
        self._labelled = confidence(labelled_probs_BK)[0].double().mean()

    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        confidence_B, _ = confidence(probs_BK)
        cut = self.settings.tau * self._labelled.to(confidence_B.device)
        return indicator(confidence_B > cut.to(confidence_B.dtype))

    def threshold(self) -> float:
        return self.settings.tau * float(self._labelled)

    def state_dict(self) -> dict[str, Tensor]:
        return {"labelled": snapshot(self._labelled)}

    def _restore(self, state: dict[str, Tensor]) -> None:
        self._labelled = state["labelled"]
