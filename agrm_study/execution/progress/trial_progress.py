"""Progress of one trial, as the views, the summary and `status` read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["waiting", "running", "finished", "failed", "held"]


@dataclass(slots=True)
class TrialProgress:
    """Progress of one trial.

    Attributes:
        metric: Validation metric: of the last epoch while running, of the best one when finished.
        wall_s: Seconds of training up to `heard`; those of inherited epochs count.
        heard: Time of its last update, on the monotonic clock.
        error: Text of its failure; the first line is the message.
        in_this_run: Whether it finished or failed in this run.
        pruned: Whether a search ended it early; its metric is then not a result of its settings.
        inherited: Epochs that this run inherited from another trial instead of training them.
        note: What it waits for before its first epoch.
    """

    trial_id: str
    arm: str
    task: str
    seed: int
    epochs: int
    state: State = "waiting"
    epoch: int = 0
    metric: float | None = None
    wall_s: float = 0.0
    epoch_s: float = 0.0
    heard: float = 0.0
    started: float = 0.0
    attempt: int = 0
    host: str = ""
    failure: str | None = None
    error: str | None = None
    in_this_run: bool = False
    pruned: bool = False
    inherited: int = 0
    note: str = ""

    @property
    def own_share(self) -> float:
        """Share of its epochs so far that this run trained for it alone."""
        return 1 - self.inherited / self.epoch if self.epoch else 1.0

    @property
    def reason(self) -> str | None:
        """The message of its failure."""
        return (self.error or "").partition("\n")[0] or None
