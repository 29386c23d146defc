"""How does the driver hear from Tune, and what does it do when a worker dies, hangs or the user interrupts?"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.gpu_growth import GpuGrowth
from agrm_study.execution.driver.ray_patches import last_error
from agrm_study.execution.driver.session import dead_parts
from agrm_study.execution.driver.stall_detector import StallDetector
from agrm_study.execution.driver.trainable import EVENT
from agrm_study.execution.driver.tune_executor import dead_worker, give_up
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.trial.events import OnEvent, TrialEvent
from agrm_study.execution.trial.failures import Failure
from agrm_study.execution.trial.work import WorkerSettings
from agrm_study.records.location import Location


class DriverCallback(Callback):  # type: ignore[misc]
    """Turns what Tune says into events. An error of its own is kept for later: raising one would end the experiment."""

    def __init__(
        self,
        *,
        source: WorkSource,
        settings: WorkerSettings,
        growth: GpuGrowth,
        flag: Location,
        interrupt: Interrupt,
        on_event: OnEvent,
        on_tick: Callable[[], None],
    ) -> None:
        self._source, self._settings, self._flag = source, settings, flag
        self._growth = growth
        self._interrupt, self._on_event, self._on_tick = interrupt, on_event, on_tick
        self._stopping = False
        self._broken: Exception | None = None
        self._silence = StallDetector()
        self._stalled: dict[str, str] = {}  # trial → what its worker was killed for
        self._ticked = 0.0
        self._dead: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles itself for a restore that never comes

    def raise_if_broken(self) -> None:
        """Raises the first error of the driver's own, or that Ray has died."""
        self._dead = self._dead or dead_parts()
        if self._dead:
            raise ExecutionLost(f"Ray has ended on this machine ({', '.join(self._dead)} died)") from None
        if self._broken is not None:
            raise self._broken

    def setup(self, **info: Any) -> None:
        self._interrupt.reinstall()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        with self._kept():
            now = time.monotonic()
            if now - self._ticked >= 0.1:
                self._ticked = now
                self._stop_when_asked()
                self._on_tick()
                self._kill_the_stalled(trials, now)
                self._dead = self._dead or dead_parts()
        if self._dead:  # an error that leaves a callback ends Tune's loop
            raise ExecutionLost

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._kept():
            self._silence.began(trial.trial_id, time.monotonic())
            self._growth.started(trial.trial_id)
            epochs = self._source.work(trial.trial_id).trial.recipe.epochs
            self._on_event(TrialEvent(kind="started", trial_id=trial.trial_id, epochs=epochs))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        with self._kept():
            event = self._growth.answer(TrialEvent.from_json(result[EVENT]), stopped=self._source.stopped)
            if event.kind == "epoch":
                self._silence.heard(trial.trial_id, time.monotonic(), event.epoch_s)
            elif event.kind == "preparing":
                self._silence.prepares(trial.trial_id, time.monotonic(), event.note)
            else:
                self._silence.ended(trial.trial_id)
            self._on_event(event)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._kept():
            failure = self._death(trial)
            self._on_event(
                TrialEvent(
                    kind="retried",
                    trial_id=trial.trial_id,
                    failure=failure.kind,
                    error=failure.message,
                    attempt=trial.run_metadata.num_failures + 1,
                )
            )

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._kept():
            self._on_event(give_up(self._source, self._settings, trial.trial_id, self._death(trial)))

    def _stop_when_asked(self) -> None:
        """Starts nothing more, and tells the workers; again and again until storage takes the word."""
        if self._interrupt.requested and not self._stopping:
            self._source.stop()
            with contextlib.suppress(OSError):
                self._flag.write_atomic(b"stop")
                self._stopping = True

    def _death(self, trial: Trial) -> Failure:
        """What is known of the death of a trial's worker."""
        self._silence.ended(trial.trial_id)
        failure = dead_worker(last_error(trial))
        why = self._stalled.pop(trial.trial_id, None)
        return failure if why is None else Failure("worker_killed", why)

    def _kill_the_stalled(self, trials: list[Trial], now: float) -> None:
        for trial_id, silent_s in self._silence.too_long(now):
            self._silence.ended(trial_id)
            for trial in trials:
                actor = trial.temporary_state.ray_actor
                if trial.trial_id == trial_id and actor is not None:
                    self._stalled[trial_id] = f"its worker said nothing for {silent_s / 60:.0f} min and was killed"
                    ray.kill(actor)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._broken = self._broken or error
            self._source.stop()
