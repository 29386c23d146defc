"""Cross-entropy with optional label smoothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from agrm_study.training.ssl.losses.supervised import SupervisedLoss


class CrossEntropy(SupervisedLoss):
    """−Σ_k q_k log p_k, averaged over the batch.

    The target q is one-hot, or (1 − ε)·onehot + ε/K with label smoothing ε (Szegedy et al. 2016, section 7).
    """

    def __call__(self, outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(outputs_BO), labels_B, label_smoothing=self.settings.label_smoothing)
