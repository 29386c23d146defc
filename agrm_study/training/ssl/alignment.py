"""Distribution alignment: predictions on unlabelled clips are rescaled towards an expected class distribution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agrm_study.training.ssl.precision import at_least_float32
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy, snapshot

SMALLEST = 1e-6
"""Lower bound for the entries of p_target and p_model, as in the authors' code."""


class AlignedPolicy(ThresholdPolicy):
    """A threshold policy applied to aligned probabilities: Normalize(p · p_target / p_model).

    p_model is the moving average (with `momentum`) of the batch means of p, and p_target depends on `alignment`:

    - ``uniform``: 1/K, and only the weights use the aligned probabilities, while the pseudo-label is the arg max of p
      (uniform alignment of SoftMatch, Chen et al. 2023, section 3.2);
    - ``labels``: the class frequencies of the labelled clips, and the pseudo-labels are aligned as well (ReMixMatch,
      Berthelot et al. 2020, section 3.1);
    - ``predictions``: the moving average of the predictions on labelled clips, and the pseudo-labels are aligned as
      well (AdaMatch, Berthelot et al. 2022, section 3.2).

    Differences from the papers: ReMixMatch averages the last 128 batches and AdaMatch uses only the current batch
    (`momentum: 0`). The authors' later library uses a moving average with momentum 0.999 for all three, as does this
    implementation. Averages are initialised with the first batch, like p_model in that library, where p_target starts
    at 1/K. The averages are updated with a batch before it is aligned.

    Args:
        inner: The threshold policy.
        label_counts: Number of labelled clips of each class.
    """

    def __init__(self, inner: ThresholdPolicy, label_counts: Sequence[int]) -> None:
        super().__init__(inner.settings, inner.n_classes, inner.n_unlabelled)
        self._inner = inner
        self._kind = inner.settings.alignment
        counts = torch.tensor(label_counts, dtype=torch.float64)
        uniform = torch.full((inner.n_classes,), 1.0 / inner.n_classes, dtype=torch.float64)
        self._target_K = counts / counts.sum() if self._kind == "labels" else uniform
        self._model_K = uniform.clone()
        self._seen = torch.zeros(2)  # whether p_model and p_target have received a batch

    def observe(self, labelled_probs_BK: Tensor) -> None:
        self._inner.observe(labelled_probs_BK)
        if self._kind == "predictions":
            self._target_K = self._averaged(self._target_K, labelled_probs_BK, 1)

    def targets(self, probs_BK: Tensor, *, learn: bool) -> Tensor:
        if self._kind == "uniform":
            return self._inner.targets(probs_BK, learn=learn)
        if learn:
            self._model_K = self._averaged(self._model_K, probs_BK, 0)
        return self._inner.targets(self._aligned(probs_BK), learn=learn)

    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        if self._kind != "uniform":
            return self._inner.select(probs_BK, sample_ids_B)
        self._model_K = self._averaged(self._model_K, probs_BK, 0)
        return self._inner.select(self._aligned(probs_BK), sample_ids_B)

    def confidence(self, probs_BK: Tensor) -> Tensor:
        return self._inner.confidence(self._aligned(probs_BK) if self._kind == "uniform" else probs_BK)

    @property
    def penalises(self) -> bool:
        return self._inner.penalises

    def penalty(self, log_probs_BK: Tensor, weights_B: Tensor) -> Tensor | None:
        return self._inner.penalty(log_probs_BK, weights_B)

    def threshold(self) -> float:
        return self._inner.threshold()

    def state_dict(self) -> dict[str, Tensor]:
        own = {"target": snapshot(self._target_K), "model": snapshot(self._model_K), "seen": snapshot(self._seen)}
        return {f"alignment.{name}": value for name, value in own.items()} | self._inner.state_dict()

    def _restore(self, state: dict[str, Tensor]) -> None:
        own = {name: state.pop(f"alignment.{name}") for name in ("target", "model", "seen")}
        self._target_K, self._model_K, self._seen = own["target"], own["model"], own["seen"]
        self._inner.load_state_dict(state)

    def _averaged(self, average_K: Tensor, probs_BK: Tensor, place: int) -> Tensor:
        """The average updated with a batch; the first batch replaces the initial value."""
        if len(probs_BK) == 0:
            return average_K
        mean_K = probs_BK.detach().double().mean(dim=0)
        keep = self.settings.momentum
        moved_K = keep * average_K.to(mean_K.device) + (1 - keep) * mean_K
        self._seen = self._seen.to(mean_K.device)
        found_K = torch.where(self._seen[place] > 0, moved_K, mean_K)
        self._seen = self._seen.clone()
        self._seen[place] = 1.0
        return found_K

    def _aligned(self, probs_BK: Tensor) -> Tensor:
        probs_BK = at_least_float32(probs_BK.detach())
        target_K, model_K = (v.to(probs_BK.device).clamp(min=SMALLEST) for v in (self._target_K, self._model_K))
        scaled_BK = probs_BK * (target_K / model_K).to(probs_BK.dtype)
        return scaled_BK / scaled_BK.sum(dim=1, keepdim=True)
