"""CORN, conditional ordinal regression for ordered classes (Shi, Cao & Raschka 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.study.recipe import Loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss


class Corn(SupervisedLoss):
    """Binary cross-entropies for K − 1 outputs z_j with σ(z_j) = P(rank > j | rank ≥ j).

    Output j is trained on the clips S_j = {i: r_i ≥ j} whose rank is at least j. The loss is
    −1/Σ_j|S_j| · Σ_j Σ_{i∈S_j} [1(r_i > j) log σ(z_ij) + 1(r_i = j) log(1 − σ(z_ij))]
    (Shi, Cao & Raschka 2021, equation 6); its denominator Σ_j|S_j| varies between batches. Class probabilities follow
    from the chain rule, P(rank > j) = Π_{l≤j} σ(z_l), hence P(rank = j) = (1 − σ(z_j)) Π_{l<j} σ(z_l), which always sum
    to 1. With two classes, CORN is logistic regression. Ranks are positions in ``order``, the class indices in
    ascending order.
    """

    smooths = False
    ordinal = True

    def __init__(
        self, settings: Loss, classes: Sequence[str], class_counts: Sequence[int], *, order: Sequence[int]
    ) -> None:
        super().__init__(settings, classes, class_counts)
        if sorted(order) != list(range(len(self.classes))):
            raise ValueError(f"order must contain each class index once, got {list(order)}")
        self.order = tuple(order)
        self._ranks_K = torch.tensor([self.order.index(index) for index in range(len(self.order))])

    def n_outputs(self, n_classes: int) -> int:
        """K − 1 outputs for K classes."""
        return n_classes - 1

    def __call__(self, outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
        outputs_BO = super().logits(outputs_BO)
        ranks_B1 = self._ranks_on(outputs_BO.device)[labels_B][:, None]
        steps_O = torch.arange(outputs_BO.shape[1], device=outputs_BO.device)
        passed_BO = (ranks_B1 > steps_O).to(outputs_BO.dtype)
        reached_BO = (ranks_B1 >= steps_O).to(outputs_BO.dtype)
        losses_BO = F.binary_cross_entropy_with_logits(outputs_BO, passed_BO, reduction="none")
        return (reached_BO * losses_BO).sum() / reached_BO.sum()

    def logits(self, outputs_BO: Tensor) -> Tensor:
        """Log-probabilities (B, K) in the order of the classes; softmax maps them to the class probabilities."""
        outputs_BO = super().logits(outputs_BO)
        nothing_B1 = outputs_BO.new_zeros(len(outputs_BO), 1)
        reached_BK = torch.cat([nothing_B1, F.logsigmoid(outputs_BO).cumsum(dim=1)], dim=1)
        stopped_BK = torch.cat([F.logsigmoid(-outputs_BO), nothing_B1], dim=1)
        return (reached_BK + stopped_BK)[:, self._ranks_on(outputs_BO.device)]

    def log_probs(self, outputs_BO: Tensor) -> Tensor:
        return self.logits(outputs_BO)

    def _ranks_on(self, device: torch.device) -> Tensor:
        """Rank of each class, moved to the device only once so that later steps do not copy it again."""
        self._ranks_K = self._ranks_K.to(device)
        return self._ranks_K
