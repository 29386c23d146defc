"""Class-balanced cross-entropy, weighted by the effective number of clips per class (Cui et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss


def effective_number_weights(class_counts: Sequence[int], beta: float) -> tuple[float, ...]:
    """Class weights (1 − β) / (1 − β^n_k), scaled to sum to K (Cui et al. 2019, equation 2 and section 4).

    β = 0 weights all classes equally; β → 1 weights them by 1/n_k.

    Args:
        class_counts: Number of clips n_k of each class, at least 1.
        beta: β in [0, 1).
    """
    if beta == 0:
        return (1.0,) * len(class_counts)
    inverse = [1.0 / -math.expm1(count * math.log(beta)) for count in class_counts]
    return tuple(len(inverse) * weight / sum(inverse) for weight in inverse)


class ClassBalanced(SupervisedLoss):
    """Mean of w_y · cross-entropy over the batch of size B.

    The sum is divided by B and not by the sum of the weights, so that clips of rare classes have a larger influence.

    Raises:
        InputError: If a class has no labelled training clip, so its weight is undefined.
    """

    def __init__(self, settings: Loss, classes: Sequence[str], class_counts: Sequence[int]) -> None:
        super().__init__(settings, classes, class_counts)
        empty = [name for name, count in zip(classes, class_counts, strict=True) if count < 1]
        if empty:
            raise InputError(
                f"`class_balanced` requires labelled training clips of every class; none for {', '.join(empty)}",
                field="loss.name",
                given=settings.name,
                hint="Use a different loss, or a larger data.labelled_fraction.",
            )
        weights = effective_number_weights(class_counts, settings.class_balanced_beta)
        self._weights_K = torch.tensor(weights, dtype=torch.float64)

    def __call__(self, outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
        logits_BK = self.logits(outputs_BO)
        cross_entropy_B = F.cross_entropy(
            logits_BK, labels_B, label_smoothing=self.settings.label_smoothing, reduction="none"
        )
        self._weights_K = self._weights_K.to(logits_BK.device)
        return (self._weights_K.to(logits_BK.dtype)[labels_B] * cross_entropy_B).mean()
