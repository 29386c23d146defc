"""Tune callback that turns reports into events of the run and handles workers that die or hang."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial

from agrm_study.execution.driver.channel import TICK_S
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.give_up import give_up
from agrm_study.execution.driver.memory_watchdog import MemoryWatchdog
from agrm_study.execution.driver.ray_watch import dead_parts
from agrm_study.execution.driver.stall_detector import StallDetector
from agrm_study.execution.driver.study_search import StudySearch
from agrm_study.execution.driver.study_trial import StudyTrial
from agrm_study.execution.driver.trainable import EVENT, SHARE
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.failures import Failure
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.work import WorkerSettings
from agrm_study.records.location import Location

UNBORN: Final = 3
"""Number of failed worker creations on a node within `UNBORN_S`, after which the driver exits."""
UNBORN_S: Final = 600.0
KILLED_UNBORN: Final = 12
"""Number of consecutive workers killed before they accept a trial, after which the driver exits."""


class DriverCallback(Callback):  # type: ignore[misc]
    """Converts Tune's reports into events.

    Errors raised in the callback are stored and raised later, since Tune ignores some errors from callbacks and hides
    others.

    Args:
        on_tick: Called about twice a second.
    """

    def __init__(
        self, search: StudySearch, settings: WorkerSettings, stall: StallDetector, on_tick: Callable[[], None]
    ) -> None:
        self._search, self._settings = search, settings
        self._stall, self._on_tick = stall, on_tick
        self.watchdog: MemoryWatchdog | None = None
        self._broken: Exception | None = None
        self._stalled: dict[str, str] = {}  # trial → reason why its worker was killed
        self._ticked = 0.0
        self._running: set[str] = set()
        self._unborn: dict[str, deque[float]] = {}  # node → times at which creating a worker failed
        self._worked = False
        self._killed_unborn = 0

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles itself for a restore that is never requested

    def raise_if_broken(self) -> None:
        """Raises `ExecutionLost` if Ray has died, otherwise the first stored error, if there is one."""
        if dead := dead_parts():
            raise ExecutionLost(f"Ray stopped on this machine ({', '.join(dead)} died)") from None
        if self._broken is not None:
            raise self._broken

    def workers(self) -> dict[str, int]:
        """Process id of the worker of each running trial; called by the memory watchdog."""
        results = Location.of(self._settings.results)
        beats = [Heartbeat.read(results, trial_id) for trial_id in tuple(self._running)]
        return {beat.trial_id: beat.pid for beat in beats if beat is not None}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        now = time.monotonic()
        if now - self._ticked >= TICK_S:
            self._ticked = now
            with self._kept():
                self._on_tick()
                self._kill_the_stalled(trials, now)
            self.raise_if_broken()  # an error raised here ends Tune's loop

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: StudyTrial, **info: Any) -> None:
        with self._kept():
            trial.begin()
            self._worked, self._killed_unborn = True, 0
            self._running.add(trial.trial_id)
            self._stall.began(trial.trial_id, time.monotonic())
            epochs = self._search.work(trial.trial_id).trial.recipe.epochs
            begun = TrialEvent(kind="started", trial_id=trial.trial_id, epochs=epochs)
            self._search.report(replace(begun, gpus=trial.config[SHARE]))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        with self._kept():
            event = TrialEvent.from_json(result[EVENT])
            if event.kind == "epoch":
                self._stall.heard(trial.trial_id, time.monotonic(), event.epoch_s)
            elif event.kind == "preparing":
                self._stall.prepares(trial.trial_id, time.monotonic(), event.note)
            else:
                self._ended(trial.trial_id)
            self._search.report(event)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: StudyTrial, **info: Any) -> None:
        with self._kept():
            if trial.unborn:
                self._count_unborn(trial.unborn_on, trial.failure)
                return
            failure, attempt = self._death(trial), trial.run_metadata.num_failures + 1
            event = TrialEvent(kind="retried", trial_id=trial.trial_id, failure=failure.kind, error=failure.message)
            self._search.report(replace(event, attempt=attempt))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: StudyTrial, **info: Any) -> None:
        with self._kept():
            self._search.report(give_up(self._search.work(trial.trial_id), self._settings, self._death(trial)))

    def _death(self, trial: StudyTrial) -> Failure:
        """The reason why a trial's worker died."""
        trial_id = trial.trial_id
        self._ended(trial_id)
        if why := self._stalled.pop(trial_id, None):
            return Failure("worker_killed", why)
        if self.watchdog is not None and (why := self.watchdog.take_reason(trial_id)):
            return Failure("oom_host", why)
        return trial.failure

    def _ended(self, trial_id: str) -> None:
        self._stall.ended(trial_id)
        self._running.discard(trial_id)

    def _count_unborn(self, node: str | None, failure: Failure) -> None:
        """Stops the driver if workers cannot be created, since Tune would retry indefinitely; no trial causes this."""
        if node is None:
            self._killed_unborn += 1
            if self._killed_unborn >= KILLED_UNBORN:
                raise ExecutionLost(f"{KILLED_UNBORN} workers in a row died before a trial began ({failure.message})")
            return
        times = self._unborn.setdefault(node, deque(maxlen=UNBORN))
        times.append(time.monotonic())
        if len(times) == UNBORN and times[-1] - times[0] < UNBORN_S:
            raise ExecutionLost(f"no worker can be started on node {node} ({failure.message})", final=not self._worked)

    def _kill_the_stalled(self, trials: list[Trial], now: float) -> None:
        for trial_id, silent_s in self._stall.too_long(now):
            self._stall.ended(trial_id)
            for trial in trials:
                actor = trial.temporary_state.ray_actor
                if trial.trial_id == trial_id and actor is not None:
                    self._stalled[trial_id] = f"its worker reported nothing for {silent_s / 60:.0f} min and was killed"
                    ray.kill(actor)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._broken = self._broken or error
