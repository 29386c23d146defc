"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from agrm_study.study.recipe import Optimizer


def build_optimizer(
    settings: Optimizer, parameters: Sequence[nn.Parameter] | Sequence[dict[str, Any]]
) -> torch.optim.Optimizer:
    """Build Adam, AdamW or SGD with torch's fused implementation.

    Args:
        settings: The recipe's `optimizer` section.
        parameters: Parameters, or torch's parameter groups; see `layers.parameter_groups`.
    """
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=True)


def build_plateau(settings: Optimizer, optimizer: torch.optim.Optimizer) -> ReduceLROnPlateau:
    """Build the scheduler for `schedule: plateau`.

    It multiplies the learning rate by `plateau_factor` after `plateau_patience` epochs without a decrease in the loss.
    By default, torch's scheduler waits for one epoch more than its patience and ignores small improvements; the
    arguments used here compensate for both.
    """
    return ReduceLROnPlateau(
        optimizer, factor=settings.plateau_factor, patience=settings.plateau_patience - 1, threshold=0.0, eps=0.0
    )


class LearningRate:
    """Sets the learning rate for the next epoch (`optimizer.schedule`).

    Args:
        settings: The recipe's `optimizer` section.
        optimizer: The optimizer, initially with the learning rates of the first epoch; its state contains the current
            rates.
        epochs: K, the number of training epochs.
        armed_after: With `plateau_armed`, the first epoch that can count as an epoch without a decrease in the loss.
    """

    def __init__(self, settings: Optimizer, optimizer: torch.optim.Optimizer, epochs: int, armed_after: int) -> None:
        self._settings, self._optimizer, self._epochs = settings, optimizer, epochs
        self._first_rates = [group["lr"] for group in optimizer.param_groups]
        self._first_counted = armed_after if settings.plateau_armed else 1
        self._plateau = build_plateau(settings, optimizer) if settings.schedule == "plateau" else None

    def step(self, epoch: int, loss: float) -> None:
        """Set the learning rate after an epoch.

        Args:
            epoch: Number of completed epochs.
            loss: The validation loss.
        """
        if self._plateau is not None and epoch < self._first_counted:
            self._plateau.best = min(self._plateau.best, loss)
        elif self._plateau is not None:
            self._plateau.step(loss)
        elif self._settings.schedule == "cosine":
            factor = math.cos(7 * math.pi * epoch / (16 * self._epochs))
            for group, first in zip(self._optimizer.param_groups, self._first_rates, strict=True):
                group["lr"] = first * factor

    def state_dict(self) -> dict[str, Any]:
        """The state that is not part of the optimizer's state; empty for stateless schedules."""
        return {} if self._plateau is None else self._plateau.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict`."""
        if self._plateau is not None:
            self._plateau.load_state_dict(state)
