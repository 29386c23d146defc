"""Interface of a threshold policy."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from agrm_study.study.parts.options import HasOptions
from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.precision import at_least_float32


class ThresholdPolicy(HasOptions, ABC):
    """Assigns a weight to each pseudo-label of a batch.

    A policy is deterministic, does not synchronize with the device inside `select`, and returns its complete state from
    `state_dict`. The state is moved to the device of the given probabilities.

    Args:
        settings: The recipe's `ssl.threshold` section; each policy reads its own fields.
        n_classes: K, the number of classes, at least 2.
        n_unlabelled: Number of unlabelled training clips; sample ids are in [0, n_unlabelled).

    Raises:
        ValueError: If a number is out of range.
    """

    keeps_average = True
    """Whether the policy has moving averages with `momentum`."""

    def __init__(self, settings: Threshold, n_classes: int, n_unlabelled: int) -> None:
        if n_classes < 2:
            raise ValueError(f"n_classes must be at least 2, got {n_classes}")
        if n_unlabelled < 0:
            raise ValueError(f"n_unlabelled must be at least 0, got {n_unlabelled}")
        self.settings = settings
        self.n_classes = n_classes
        self.n_unlabelled = n_unlabelled

    @abstractmethod
    def select(self, probs_BK: Tensor, sample_ids_B: Tensor) -> Tensor:
        """Compute the weights of a batch's pseudo-labels and advance the policy's state by one step.

        Args:
            probs_BK: Class probabilities; detached.
            sample_ids_B: int64 ids of the clips in [0, n_unlabelled).

        Returns:
            float32 weights (B,) in [0, 1] on the device of the probabilities: 0 rejects, 1 accepts; SoftMatch also uses
            values in between.
        """

    def observe(self, labelled_probs_BK: Tensor) -> None:
        """Receive the student's class probabilities on the labelled clips of a step, before `targets` and `select`.

        Called only in steps with unlabelled clips.
        """

    def targets(self, probs_BK: Tensor, *, learn: bool) -> Tensor:
        """Class probabilities from which pseudo-labels are derived; the input itself, unless the policy aligns it.

        Args:
            probs_BK: Class probabilities; detached.
            learn: Whether to update the policy's averages, as in training; False if clips are only monitored.
        """
        return probs_BK

    def confidence(self, probs_BK: Tensor) -> Tensor:
        """The confidence (B,) that is compared with the policy's threshold; does not change the state."""
        return confidence(probs_BK)[0]

    @property
    def penalises(self) -> bool:
        """Whether `penalty` adds a loss term, which is then recorded."""
        return False

    def penalty(self, log_probs_BK: Tensor, weights_B: Tensor) -> Tensor | None:
        """An additional, weighted loss term on the student's predictions; None for policies without such a term.

        Args:
            log_probs_BK: Logarithms of the student's class probabilities, with gradient.
            weights_B: The weights of the pseudo-labels.
        """
        return None

    @abstractmethod
    def threshold(self) -> float:
        """The current threshold for the record, averaged over classes if it is class-specific.

        May synchronize with the device.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """The policy's state as CPU tensors; empty for a stateless policy."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a `state_dict` of the same policy.

        Raises:
            ValueError: If names or shapes in the state do not match this policy.
        """
        mine = self.state_dict()
        if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in mine.items()}:
            given = ", ".join(f"{name} {tuple(value.shape)}" for name, value in state.items()) or "nothing"
            wanted = ", ".join(f"{name} {tuple(value.shape)}" for name, value in mine.items()) or "nothing"
            raise ValueError(f"the state of {type(self).__name__} must contain {wanted}; got {given}")
        self._restore({name: value.to(mine[name].dtype).clone() for name, value in state.items()})

    def _restore(self, state: dict[str, Tensor]) -> None:
        """Restore a validated state; overridden by policies with state."""
        return


def confidence(probs_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum probability m (B,) and its class c (B,), detached, in float32 or better; ties select the lower class."""
    probs_BK = at_least_float32(probs_BK.detach())
    confidence_B, labels_B = probs_BK.max(dim=1)
    return confidence_B, labels_B


def snapshot(value: Tensor) -> Tensor:
    """A CPU copy that later steps do not modify."""
    return value.detach().to("cpu", copy=True)


def indicator(mask_B: Tensor) -> Tensor:
    """The mask as float32 weights: 1 for accepted, 0 for rejected."""
    return mask_B.to(torch.float32)
