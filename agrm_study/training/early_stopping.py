"""Early stopping on a validation metric."""

from __future__ import annotations

import math
from typing import Any


class EarlyStopping:
    """Tracks the best value of a metric and stops training if it no longer improves.

    Args:
        metric: ``loss`` is minimised, any other metric is maximised.
        patience: Number of counted epochs without improvement after which training stops.
        armed_after: First epoch that can count as an epoch without improvement.

    Attributes:
        best_epoch: Epoch of the best value, counted from 1 (the earliest in case of ties); 0 before the first value.
        waited: Number of counted epochs without improvement since the best epoch.
    """

    def __init__(self, metric: str, patience: int, armed_after: int) -> None:
        self._sign = -1.0 if metric == "loss" else 1.0
        self._patience, self._armed_after = patience, armed_after
        self.restart()

    def restart(self) -> None:
        """Reset the state, because a different network is evaluated from this epoch on."""
        self.best_epoch, self.waited, self._best = 0, 0, -math.inf

    def update(self, epoch: int, value: float) -> bool:
        """Record the value of an epoch, and return whether it is a new best value."""
        if self._sign * value > self._best:
            self._best, self.best_epoch, self.waited = self._sign * value, epoch, 0
            return True
        if epoch >= self._armed_after:
            self.waited += 1
        return False

    @property
    def stops(self) -> bool:
        """Whether the patience is exhausted."""
        return self.waited >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """The state as plain numbers."""
        return {"best": self._best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict`."""
        self._best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
