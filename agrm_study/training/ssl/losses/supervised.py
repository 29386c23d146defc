"""Interface of a supervised loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from agrm_study.study.errors import InputError
from agrm_study.study.parts.options import HasOptions
from agrm_study.study.recipe import Loss
from agrm_study.training.ssl.precision import at_least_float32


class SupervisedLoss(HasOptions, ABC):
    """Maps the network's outputs to class probabilities and measures their distance from the labels.

    All computations use float32 or higher precision, even under autocast.

    Args:
        settings: The recipe's `loss` section; each loss reads its own fields.
        classes: Class names by class index.
        class_counts: Number of labelled training clips of each class.

    Raises:
        InputError: If `label_smoothing` is set for a loss that does not support it.
        ValueError: If there are fewer than 2 classes, or `class_counts` has a different length.
    """

    smooths = True
    """Whether the loss supports `loss.label_smoothing`."""
    ordinal = False
    """Whether the loss ranks the classes; if so, it also receives ``order``, the class indices in ascending order."""

    def __init__(self, settings: Loss, classes: Sequence[str], class_counts: Sequence[int]) -> None:
        if len(classes) < 2:
            raise ValueError(f"a loss requires at least 2 classes, got {len(classes)}")
        if len(class_counts) != len(classes):
            raise ValueError(f"class_counts must contain {len(classes)} numbers, got {len(class_counts)}")
        if settings.label_smoothing > 0 and not self.smooths:
            raise InputError(
                f"must be 0 with the loss `{settings.name}`, which does not support it",
                field="loss.label_smoothing",
                given=settings.label_smoothing,
            )
        self.settings = settings
        self.classes = tuple(classes)
        self.class_counts = tuple(class_counts)

    def n_outputs(self, n_classes: int) -> int:
        """Number of network outputs O for K = `n_classes` classes."""
        return n_classes

    @abstractmethod
    def __call__(self, outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
        """Mean loss of a batch.

        Args:
            outputs_BO: Outputs of the network.
            labels_B: int64 class indices.

        Returns:
            The loss, a scalar with gradient.
        """

    def logits(self, outputs_BO: Tensor) -> Tensor:
        """Values (B, K) whose softmax is the class probabilities; recorded in predictions, without temperature."""
        return at_least_float32(outputs_BO)

    def log_probs(self, outputs_BO: Tensor) -> Tensor:
        """Logarithms (B, K) of the class probabilities, with gradient."""
        return torch.log_softmax(self.logits(outputs_BO), dim=1)
