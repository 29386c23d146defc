"""What must a supervised loss do?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Loss
from agrm_study.training.ssl.precision import at_least_float32


class SupervisedLoss(ABC):
    """Says what the network's outputs mean as class probabilities, and how far they are from the labels.

    All is computed in float32 or better, also under autocast.

    Args:
        settings: `loss` of the recipe; each loss reads its own fields.
        classes: Class names by class index.
        class_counts: Labelled training clips of each class.

    Raises:
        InputError: When `label_smoothing` is set for a loss that has no place for it.
    """

    smooths = True
    """Whether the loss has a place for `loss.label_smoothing`."""

    def __init__(self, settings: Loss, classes: Sequence[str], class_counts: Sequence[int]) -> None:
        if len(classes) < 2:
            raise ValueError(f"a loss needs at least 2 classes, given {len(classes)}")
        if len(class_counts) != len(classes):
            raise ValueError(f"class_counts must hold {len(classes)} numbers, given {len(class_counts)}")
        if settings.label_smoothing > 0 and not self.smooths:
            raise InputError(
                f"must be 0 with the loss `{settings.name}`, which has no place for it",
                field="loss.label_smoothing",
                given=settings.label_smoothing,
            )
        self.settings = settings
        self.classes = tuple(classes)
        self.class_counts = tuple(class_counts)

    def n_outputs(self, n_classes: int) -> int:
        """Outputs O that the network needs for this many classes."""
        return n_classes

    @abstractmethod
    def __call__(self, outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
        """Mean loss of a batch.

        Args:
            outputs_BO: Outputs of the network.
            labels_B: int64 class indices.

        Returns:
            A scalar with gradient.
        """

    def logits(self, outputs_BO: Tensor) -> Tensor:
        """(B, K) values whose softmax are the class probabilities: what predictions record, before any temperature."""
        return at_least_float32(outputs_BO)

    def log_probs(self, outputs_BO: Tensor) -> Tensor:
        """(B, K) logarithms of the class probabilities, with gradient."""
        return torch.log_softmax(self.logits(outputs_BO), dim=1)
