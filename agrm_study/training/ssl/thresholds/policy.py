"""What must a threshold policy do?"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from agrm_study.study.recipe import Threshold
from agrm_study.training.ssl.precision import at_least_float32


class ThresholdPolicy(ABC):
    """Decides how much each pseudo-label of a batch counts.

    A policy draws nothing at random, never asks the device for a value inside `select`, and keeps all it remembers in
    `state_dict`. Its state moves to the device of the probabilities that it is given.

    Args:
        settings: `ssl.threshold` of the recipe; each policy reads its own fields.
        n_classes: Number of classes K, at least 2.
        n_unlabelled: Number of unlabelled training clips; sample ids lie in [0, n_unlabelled).
    """

    def __init__(self, settings: Threshold, n_classes: int, n_unlabelled: int) -> None:
        if n_classes < 2:
            raise ValueError(f"n_classes must be at least 2, given {n_classes}")
        if n_unlabelled < 0:
            raise ValueError(f"n_unlabelled must be at least 0, given {n_unlabelled}")
        self.settings = settings
        self.n_classes = n_classes
        self.n_unlabelled = n_unlabelled

    @abstractmethod
    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        """Weights of a batch's pseudo-labels; one step of the policy's state.

        Args:
            probs_BK: Class probabilities by which the clips are judged; gradients are not followed.
            sample_ids_B: int64 ids of the clips in [0, n_unlabelled).

        Returns:
            (B,) float32 in [0, 1] on the device of the probabilities: 0 rejects, 1 accepts, SoftMatch lies between.
        """

    @abstractmethod
    def threshold(self) -> float:
        """The current threshold for the record: the mean over the classes where it differs. May wait for the device."""

    def state_dict(self) -> dict[str, Tensor]:
        """All that the policy remembers, as tensors on the CPU; empty for a policy without memory."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state_dict` of the same policy.

        Raises:
            ValueError: When the state's names or shapes are not this policy's.
        """
        mine = self.state_dict()
        if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in mine.items()}:
            given = ", ".join(f"{name} {tuple(value.shape)}" for name, value in state.items()) or "nothing"
            wanted = ", ".join(f"{name} {tuple(value.shape)}" for name, value in mine.items()) or "nothing"
            raise ValueError(f"the state of {type(self).__name__} holds {wanted}; given {given}")
        self._restore({name: value.to(mine[name].dtype).clone() for name, value in state.items()})

    def _restore(self, state: dict[str, Tensor]) -> None:
        """Take over a checked state; a policy that remembers something overrides this."""
        return


def confidence(probs_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Largest probability m (B,) and its class c (B,): detached, in float32 or better; ties go to the lower class."""
    probs_BK = at_least_float32(probs_BK.detach())
    confidence_B, labels_B = probs_BK.max(dim=1)
    return confidence_B, labels_B


def snapshot(value: Tensor) -> Tensor:
    """A copy on the CPU that later steps do not change."""
    return value.detach().to("cpu", copy=True)


def indicator(mask_B: Tensor) -> Tensor:
    """Accepted as 1, rejected as 0, float32."""
    return mask_B.to(torch.float32)
