"""Progress of one trial, and the estimated time left for a study, based on the trials measured so far."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any, Literal

from agrm_study.records.reader import TrialState
from agrm_study.records.schemas import PRUNED

State = Literal["waiting", "running", "finished", "failed", "held"]


@dataclass(slots=True)
class TrialProgress:
    """Progress of one trial.

    Attributes:
        metric: Validation metric: at the last epoch while running, at the best epoch when finished.
        wall_s: Seconds of training up to `updated`, including inherited epochs.
        updated: Time of its last update, on the monotonic clock.
        error: Error text of its failure; the first line is the message.
        in_this_run: Whether it finished or failed in this run.
        pruned: Whether a search ended it early; its metric is then not a result of its settings.
        inherited: Epochs that this run inherited from another trial instead of training them.
        note: Operation that it is waiting for before its first epoch.
        fold: Fold used as its test part; None in a study with a single split.
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
    updated: float = 0.0
    started: float = 0.0
    attempt: int = 0
    host: str = ""
    failure: str | None = None
    error: str | None = None
    in_this_run: bool = False
    pruned: bool = False
    inherited: int = 0
    note: str = ""
    fold: int | None = None
    repeat: int = 0

    def take(self, known: TrialState) -> None:
        """Applies the state from a record."""
        self.state = "finished" if known.status == "finished" else "failed"
        self.failure, self.error, self.pruned = known.failure, known.error, known.stop_reason == PRUNED
        self.wall_s, self.attempt = known.wall_s or 0.0, known.attempt
        self.epoch = known.epochs or 0 if self.state == "finished" else 0

    def shared_with(self, kind: type[Any]) -> dict[str, Any]:
        """Values of the fields that it shares with another dataclass, by name."""
        return {each.name: getattr(self, each.name) for each in fields(kind) if hasattr(self, each.name)}

    @property
    def own_share(self) -> float:
        """Fraction of its epochs so far that were trained for it instead of being inherited."""
        return 1 - self.inherited / self.epoch if self.epoch else 1.0

    @property
    def reason(self) -> str | None:
        """The message of its failure."""
        return (self.error or "").partition("\n")[0] or None


def time_left_s(trials: Collection[TrialProgress], *, now: float, slots: int, to_draw: int = 0) -> float | None:
    """Seconds until the last trial ends; ``None`` if no trial has been measured yet or no trial is running (no slots).

    A waiting trial is assumed to inherit the same fraction of its epochs as the other trials of its arm. `now` is the
    time on the clock of `TrialProgress.updated`.
    """
    cost, own_cost = _measured(trials, own=False), _measured(trials, own=True)
    if cost is None or own_cost is None or not slots:
        return None
    left = longest = 0.0
    if to_draw:
        walls = [t.wall_s * t.own_share for t in trials if t.state == "finished" and t.wall_s > 0]
        left = to_draw * (fmean(walls) if walls else fmean(map(own_cost, trials)))
    for trial in trials:
        if trial.state == "waiting":
            left += own_cost(trial)
        elif trial.state == "running":
            rest = max(cost(trial) - trial.wall_s - (now - trial.updated), trial.epoch_s * 0.5)
            left += rest
            longest = max(longest, rest)
    return max(left / slots, longest)


def _measured(trials: Collection[TrialProgress], *, own: bool) -> Callable[[TrialProgress], float] | None:
    """Function that returns the duration of a trial in seconds: the mean of its arm and task, or the overall mean.

    With `own`, inherited epochs do not count; otherwise they do, as in `wall_s`.
    """
    finished: dict[tuple[str, str], list[float]] = {}
    guesses: dict[tuple[str, str], list[float]] = {}
    for trial in trials:
        key = (trial.arm, trial.task)
        if trial.state == "finished" and trial.wall_s > 0:
            finished.setdefault(key, []).append(trial.wall_s * (trial.own_share if own else 1))
        elif trial.state == "running" and trial.epoch > 0:
            epochs = trial.epochs - (trial.inherited if own else 0)
            guesses.setdefault(key, []).append(trial.wall_s / trial.epoch * epochs)
    means = {key: fmean(values) for key, values in (guesses | finished).items()}
    if not means:
        return None
    overall = fmean(means.values())
    return lambda trial: means.get((trial.arm, trial.task), overall)
