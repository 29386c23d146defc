"""When does the learning rate fall, which epoch is the best, and when does a training stop?"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from agrm_study.study.recipe import Optimizer


def build_optimizer(settings: Optimizer, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD in torch's fused form."""
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
    """The learning rate times `plateau_factor` when the loss has not fallen for `plateau_patience` epochs in a row.

    (torch counts one epoch more than its patience, and ignores improvements below a threshold; neither holds here.)
    """
    return ReduceLROnPlateau(
        optimizer, factor=settings.plateau_factor, patience=settings.plateau_patience - 1, threshold=0.0, eps=0.0
    )


class EarlyStopping:
    """Keeps the best value and counts the epochs without a better one.

    Args:
        metric: ``loss`` is minimised, anything else maximised.
        patience: Epochs without improvement after which training stops.
        armed_after: First epoch whose lack of improvement counts.

    Attributes:
        best_epoch: Epoch of the best value, from 1; 0 before any. The first of equals.
        waited: Counted epochs without improvement since.
    """

    def __init__(self, metric: str, patience: int, armed_after: int) -> None:
        self._sign = -1.0 if metric == "loss" else 1.0
        self._patience, self._armed_after = patience, armed_after
        self.restart()

    def restart(self) -> None:
        """Forget what was seen: another network is judged from now on."""
        self.best_epoch, self.waited, self._best = 0, 0, -math.inf

    def update(self, epoch: int, value: float) -> bool:
        """Enter an epoch's value; True when it is better than all before."""
        if self._sign * value > self._best:
            self._best, self.best_epoch, self.waited = self._sign * value, epoch, 0
            return True
        if epoch >= self._armed_after:
            self.waited += 1
        return False

    @property
    def stops(self) -> bool:
        """Whether patience has run out."""
        return self.waited >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"best": self._best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
