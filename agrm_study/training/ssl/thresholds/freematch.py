"""FreeMatch: thresholds that adapt to the network's confidence, overall and by class (Wang et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.fairness import fairness_loss
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy, confidence, indicator, snapshot


class FreeMatch(ThresholdPolicy):
    """Accepts clips with confidence m > τ_t(c), the self-adaptive threshold τ_t(c) = τ_t · p̃_t(c) / max_k p̃_t(k).

    τ_t is an EMA (with `momentum`) of the batch mean of m, and p̃_t is an EMA of the batch mean of the class
    probabilities; both start at 1/K (Wang et al. 2023, equations 5, 6, 7). Both are updated with a batch before it is
    evaluated. If `fairness` is above 0, the paper's self-adaptive fairness loss is added (`fairness_loss`), for which
    the histogram h̃_t of the pseudo-labels is averaged in the same way. The authors' code also accepts at equality and
    may clip τ_t, for which the paper gives no formula.
    """

    def __init__(self, settings: Threshold, n_classes: int, n_unlabelled: int) -> None:
        super().__init__(settings, n_classes, n_unlabelled)
        self._tau = torch.tensor(1.0 / n_classes, dtype=torch.float64)
        self._probs_K = torch.full((n_classes,), 1.0 / n_classes, dtype=torch.float64)
        self._histogram_K = self._probs_K.clone()

    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        confidence_B, labels_B = confidence(probs_BK)
        if len(labels_B) == 0:
            return indicator(labels_B)
        keep = self.settings.momentum
        self._tau = keep * self._tau.to(confidence_B.device) + (1 - keep) * confidence_B.double().mean()
        mean_K = probs_BK.detach().double().mean(dim=0)
        self._probs_K = keep * self._probs_K.to(confidence_B.device) + (1 - keep) * mean_K
        if self.settings.fairness > 0:
            shares_K = F.one_hot(labels_B, self.n_classes).double().mean(dim=0)
            self._histogram_K = keep * self._histogram_K.to(confidence_B.device) + (1 - keep) * shares_K
        return indicator(confidence_B > self._thresholds().to(confidence_B.dtype)[labels_B])

    @property
    def penalises(self) -> bool:
        return self.settings.fairness > 0

    def penalty(self, log_probs_BK: Tensor, weights_B: Tensor) -> Tensor | None:
        if not self.penalises:
            return None
        return self.settings.fairness * fairness_loss(log_probs_BK, weights_B, self._probs_K, self._histogram_K)

    def _thresholds(self) -> Tensor:
        return self._tau * self._probs_K / self._probs_K.max()

    def threshold(self) -> float:
        return float(self._thresholds().mean())

    def state_dict(self) -> dict[str, Tensor]:
        state = {"tau": snapshot(self._tau), "probs": snapshot(self._probs_K)}
        return state | ({"histogram": snapshot(self._histogram_K)} if self.settings.fairness > 0 else {})

    def _restore(self, state: dict[str, Tensor]) -> None:
        self._tau, self._probs_K = state["tau"], state["probs"]
        self._histogram_K = state.get("histogram", self._histogram_K)
