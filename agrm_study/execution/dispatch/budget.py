"""Time and GPU-hour limits of a run: which trials may still start, and when running trials must be saved."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Literal

from agrm_study.execution.dispatch.edited_parts import measured_trials
from agrm_study.execution.dispatch.usage_meter import UsageMeter
from agrm_study.execution.dispatch.work_source import WorkSource, WrappedSource
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.stage_store import StageStore
from agrm_study.execution.trial.work import Work
from agrm_study.plan.pace import Pace
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED
from agrm_study.study.duration import read_duration
from agrm_study.study.study import Study

RESERVE_S: Final = 60.0
RESERVE_SHARE: Final = 0.05
"""The last minute of a run's time, at most this share of it, is reserved for saving and shutdown."""
HALF: Final = 0.5
"""A trial longer than the time limit of a run starts only while at least this share of the limit remains."""

STOPS: Final = 1.2
STOPS_INLINE: Final = 2.2
"""Epochs that a trial needs to stop, with a margin: the current one, plus one if trials run in this process."""

Limit = Literal["time", "gpu_hours"]
LIMITS: Final[dict[Limit, str]] = {
    "time": "The time limit of --for is nearly reached",
    "gpu_hours": "The GPU-hours are used up",
}
"""Reasons for saving running trials."""


@dataclass(slots=True)
class _Running:
    """A trial that was handed out, with its training time in seconds at its last event."""

    work: Work
    wall_s: float
    at: float
    epoch_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a run.

    Attributes:
        time_s: Seconds from the start of the run; None for no limit.
        gpu_hours: GPU-hours of the run's results folder, over all runs and failed attempts; None for no limit.
    """

    time_s: float | None = None
    gpu_hours: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return self.time_s is not None or self.gpu_hours is not None


def read_limits(time_limit: str | None, gpu_hours: float | None) -> Limits:
    """The limits as given by a user; raises `InputError` if the duration cannot be parsed."""
    return Limits(
        time_s=None if time_limit is None else read_duration(time_limit, field="--for"),
        gpu_hours=gpu_hours,
    )


class Budget:
    """Remaining time and GPU-hours of one run within its limits.

    Args:
        meter: CPU and GPU time that its trials have used.
        pace: Expected duration of trials, estimated from measured trials; updated by `observe`.
        began: Start time of the run on `clock`.
        in_process: Whether trials train in this process instead of separate ones.

    Attributes:
        limit: The limit that caused running trials to be saved or further trials not to be started.
        ended: Whether the budget has stopped running trials, or the run before any trial could start.
    """

    def __init__(
        self,
        limits: Limits,
        results: Location,
        meter: UsageMeter,
        pace: Pace,
        *,
        began: float,
        in_process: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._results, self._meter, self.pace, self._clock = limits, results, meter, pace, clock
        time_s = math.inf if limits.time_s is None else limits.time_s
        reserve_s = min(RESERVE_S, RESERVE_SHARE * time_s)
        self._time_s, self._grace_s = time_s - reserve_s, reserve_s / 2
        self._end = began + self._time_s
        self._gpu_s = math.inf if limits.gpu_hours is None else 3600 * limits.gpu_hours
        self._in_process, self._epochs_to_stop = in_process, STOPS_INLINE if in_process else STOPS
        self._running: dict[str, _Running] = {}
        self.ended = False
        self.limit: Limit | None = None

    @classmethod
    def of(
        cls, study: Study, limits: Limits, results: Location, meter: UsageMeter, began: float, *, in_process: bool
    ) -> Budget:
        """The budget of a run that has started."""
        pace = Pace(measured_trials(Ledger(results), study) if limits.any else ())
        return cls(limits, results, meter, pace, began=began, in_process=in_process)

    def source(self, source: WorkSource) -> WorkSource:
        """A source of the trials that can end within the limits."""
        return BudgetedSource(source, self) if self._limits.any else source

    def reached(self) -> bool:
        """Whether no more trials may start and running trials must be saved."""
        spent = self._spent()
        self.limit, self.ended = spent or self.limit, self.ended or spent is not None
        return spent is not None

    def enforce(self, interrupt: Interrupt) -> None:
        """Requests that the run stop when a limit is reached.

        Raises:
            KeyboardInterrupt: When the time limit has passed and trials are still in the middle of an epoch.
        """
        if not interrupt.requested and self.reached() and self.limit is not None:
            interrupt.request(LIMITS[self.limit])
        if self.ended and self._clock() >= self._end + self._grace_s and not self._in_process:
            raise KeyboardInterrupt

    @property
    def idle(self) -> bool:
        """Whether no trial is currently handed out."""
        return not self._running

    def admits(self, work: Work) -> bool:
        """Whether a trial can end within the limits; a trial of unknown length may start.

        A trial longer than the time limit would otherwise never start: it may start in the first half of a run, and is
        saved at the end and resumed by the next run.
        """
        now, refused, done_s = self._clock(), self._spent(), 0.0
        needs_s = None if work.predict_only else self.pace.seconds(work.trial)
        if refused is None and needs_s is not None:
            done_s = self._done_s(work)
            refused = self._exceeded(work, max(0.0, needs_s - done_s), now)
        if refused is not None:
            self.limit = refused
            return False
        self._running[work.trial.trial_id] = _Running(work, done_s, now)
        return True

    def withdraw(self, trial_id: str) -> None:
        """Removes a trial that was handed out and then taken back."""
        self._running.pop(trial_id, None)

    def observe(self, event: TrialEvent) -> None:
        """Updates the budget with an event."""
        running = self._running.get(event.trial_id)
        if running is None:
            return
        trial = running.work.trial
        if event.kind == "epoch":
            running.wall_s, running.at, running.epoch_s = event.wall_s, self._clock(), event.epoch_s
            if event.epoch > max(event.resumed, event.inherited) + 1:  # the first epoch of an attempt takes longer
                self.pace.under_way(trial, event.epoch, event.epoch_s)
        elif event.kind in ("finished", "failed", "interrupted"):
            del self._running[event.trial_id]
            if event.kind == "finished" and event.stop_reason != PRUNED and not running.work.predict_only:
                self.pace.finished(trial, event.epoch, event.wall_s)

    def _spent(self) -> Limit | None:
        """The limit that requires running trials to be saved now."""
        held = sum(map(self._meter.share, self._running))  # GPUs in use
        stop_s = self._epochs_to_stop * max((running.epoch_s for running in self._running.values()), default=0.0)
        if self._clock() + stop_s >= self._end:
            return "time"
        if self._gpu_s < math.inf and self._meter.used.gpu_s + stop_s * held >= self._gpu_s:
            return "gpu_hours"
        return None

    def _exceeded(self, work: Work, needs_s: float, now: float) -> Limit | None:
        """The limit that a trial of this length would exceed."""
        left_s = self._end - now
        never = needs_s > self._time_s and left_s >= HALF * self._time_s
        if needs_s > left_s and not never:
            return "time"
        if self._gpu_s < math.inf:
            promised = sum(self._rest_s(trial_id, now) * self._meter.share(trial_id) for trial_id in self._running)
            if self._meter.used.gpu_s + promised + needs_s * self._meter.share(work.trial.trial_id) > self._gpu_s:
                return "gpu_hours"
        return None

    def _rest_s(self, trial_id: str, now: float) -> float:
        """Expected seconds until a running trial ends; 0 if its length is unknown."""
        running = self._running[trial_id]
        needs_s = 0.0 if running.work.predict_only else self.pace.seconds(running.work.trial) or 0.0
        return max(0.0, needs_s - running.wall_s - (now - running.at))

    def _done_s(self, work: Work) -> float:
        """Training time, in seconds, of the state that a trial resumes from: its checkpoint or an inherited state."""
        beat = Heartbeat.read(self._results, work.trial.trial_id)
        store = StageStore.of(self._results)
        states = [facts for end in work.stages if (facts := store.find(end.key)) is not None]
        found = [facts.wall_s for facts in states if facts.code_version == code_version()]
        if beat is not None and beat.code_version == code_version():
            found.append(beat.saved_wall_s)
        return max(found, default=0.0)


class BudgetedSource(WrappedSource):
    """The trials of a source that can end within a budget; the others are left to the next run.

    It is exhausted once no trial runs and only trials that exceed the limits remain.
    """

    def __init__(self, source: WorkSource, budget: Budget) -> None:
        super().__init__(source)
        self._budget = budget
        self._refuses = False  # whether the last request was rejected

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        refused: set[str] = set()
        while (work := self._source.take(full)) is not None and not self._budget.admits(work):
            trial_id = work.trial.trial_id
            self._source.set_aside(trial_id)
            if trial_id in refused:  # a search offers its next point again
                work = None
                break
            refused.add(trial_id)
        self._refuses = work is None and self._budget.limit is not None
        return work

    @property
    def exhausted(self) -> bool:
        return self._source.exhausted or (self._refuses and self._budget.idle)

    def put_back(self, trial_id: str) -> None:
        self._budget.withdraw(trial_id)
        super().put_back(trial_id)
        self._refuses = False
