"""How does the driver hear from Tune, and what does it do when a worker dies, hangs or the user interrupts?"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial

from agrm_study.execution.events import OnEvent, TrialEvent
from agrm_study.execution.executor import ExecutionLost
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.ray_amendments import last_error
from agrm_study.execution.ray_session import dead_parts
from agrm_study.execution.ray_tune import STALL_AT_LEAST_S, STALL_FACTOR, dead_worker, give_up
from agrm_study.execution.source import WorkSource
from agrm_study.execution.trainable import EVENT
from agrm_study.execution.work import WorkerSettings
from agrm_study.records.location import Location


class DriverCallback(Callback):  # type: ignore[misc]
    """Turns what Tune says into events. An error of its own is kept for later: raising one would end the experiment."""

    def __init__(
        self,
        *,
        source: WorkSource,
        settings: WorkerSettings,
        flag: Location,
        interrupt: Interrupt,
        on_event: OnEvent,
        on_tick: Callable[[], None],
    ) -> None:
        self._source, self._settings, self._flag = source, settings, flag
        self._interrupt, self._on_event, self._on_tick = interrupt, on_event, on_tick
        self._stopping = False
        self._broken: Exception | None = None
        self._heard: dict[str, tuple[float, float]] = {}  # trial → (time of the last word, longest epoch)
        self._ticked = 0.0
        self._dead: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles itself for a restore that never comes

    def raise_if_broken(self) -> None:
        """Raises the first error of the driver's own, or that Ray has died."""
        if self._dead:
            raise ExecutionLost(f"Ray has ended on this machine ({', '.join(self._dead)} died)") from None
        if self._broken is not None:
            raise self._broken

    def setup(self, **info: Any) -> None:
        self._interrupt.reinstall()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        with self._kept():
            if self._interrupt.requested and not self._stopping:
                self._stopping = True
                self._source.stop()
                self._flag.write_atomic(b"stop")
            now = time.monotonic()
            if now - self._ticked >= 0.1:
                self._ticked = now
                self._on_tick()
                self._kill_the_stalled(trials, now)
                self._dead = self._dead or dead_parts()
        if self._dead:  # an error that leaves a callback ends Tune's loop
            raise ExecutionLost

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._kept():
            epochs = self._source.work(trial.trial_id).trial.recipe.epochs
            self._on_event(TrialEvent(kind="started", trial_id=trial.trial_id, epochs=epochs))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        with self._kept():
            event = TrialEvent.from_json(result[EVENT])
            if event.kind == "epoch":
                longest = self._heard.get(trial.trial_id, (0.0, 0.0))[1]
                self._heard[trial.trial_id] = (time.monotonic(), max(longest, event.epoch_s))
            else:
                self._heard.pop(trial.trial_id, None)
            self._on_event(event)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._kept():
            self._heard.pop(trial.trial_id, None)
            failure = dead_worker(last_error(trial))
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
            self._heard.pop(trial.trial_id, None)
            self._on_event(give_up(self._source, self._settings, trial.trial_id, dead_worker(last_error(trial))))

    def _kill_the_stalled(self, trials: list[Trial], now: float) -> None:
        for trial_id, (heard, longest) in list(self._heard.items()):
            if now - heard > max(STALL_AT_LEAST_S, STALL_FACTOR * longest):
                del self._heard[trial_id]
                for trial in trials:
                    actor = trial.temporary_state.ray_actor
                    if trial.trial_id == trial_id and actor is not None:
                        ray.kill(actor)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._broken = self._broken or error
            self._source.stop()
