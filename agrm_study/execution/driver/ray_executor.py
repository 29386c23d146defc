"""Execution of trials on Ray Tune by a driver process that is replaced when it dies.

The next trial is chosen here, so that queue, race and search survive the death of a driver. A driver that made
progress is always replaced; several consecutive drivers without progress end the run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver import memory_watchdog, stall_detector
from agrm_study.execution.driver.child_process import ORDERLY_S, DriverProcess
from agrm_study.execution.driver.executor import ExecutionLost, Executor
from agrm_study.execution.driver.flight import Flight
from agrm_study.execution.driver.protocol import Assigned, Event, Job, Message, Result, Seen, Stop, Take, Tick
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.resources.capacity import Placement
from agrm_study.execution.results_folder.lock import FOLDER
from agrm_study.execution.trial.events import OnEvent, TrialEvent
from agrm_study.execution.trial.fence import raise_fence
from agrm_study.execution.trial.work import WorkerSettings
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError

FRUITLESS: Final = 3
"""Number of consecutive drivers that die without progress, after which the run ends."""
WAIT_S: Final = 0.1
"""Seconds between two checks for an interruption while the driver sends nothing."""


class RayExecutor(Executor):
    """Runs trials on Ray Tune, on this machine or on a cluster.

    Args:
        data: Data that trials read, with the size of clip stores; every node must be able to access and store them.
        retries: Maximum number of retries of a trial within one run after its worker died; each resumes from its
            checkpoint.
    """

    def __init__(
        self,
        placement: Placement,
        *,
        data: Mapping[str, int] | None = None,
        retries: int = 3,
        on_note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._placement, self._data, self._retries = placement, dict(data or {}), retries
        self._on_note, self.slots = on_note, placement.slots or 1

    def run(
        self,
        source: WorkSource,
        settings: WorkerSettings,
        *,
        on_event: OnEvent,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        results, fruitless = Location.of(settings.results), 0
        flight = Flight(source, settings, share=self._placement.resources.gpu, losses=self._retries, on_event=on_event)
        while flight.has_trials:
            number, lost = raise_fence(results, settings.run), None
            flag = results / FOLDER / f"{settings.run}{number}.stop"
            flight.settings = replace(settings, fence=number, stop_flag=flag.address)
            with DriverProcess(self._job(flight)) as process:
                try:
                    _Served(self, process, flight, flag, interrupt, on_tick).serve()
                    process.end(patience_s=ORDERLY_S)
                except ExecutionLost as error:
                    lost = error
                finally:
                    with contextlib.suppress(OSError):
                        flag.delete()
            achieved = flight.reconcile(str(lost or ""))
            if lost is None or interrupt.requested or not flight.has_trials:
                return
            fruitless = 0 if achieved else fruitless + 1
            if lost.final:
                raise lost
            if fruitless >= FRUITLESS:
                raise ExecutionLost(f"{lost}; {FRUITLESS} driver processes in a row made no progress")
            reason = str(lost)
            self._on_note(f"{reason[:1].upper()}{reason[1:]}. A new driver process takes over.")

    def _job(self, flight: Flight) -> Job:
        arguments: dict[str, Any] = {
            "placement": asdict(self._placement),
            "data": self._data,
            "retries": self._retries,
            "settings": flight.settings.to_json(),
            "total": flight.total,
            "stall": {"first_epoch_s": stall_detector.FIRST_EPOCH_S, "epoch_s": stall_detector.EPOCH_S},
            "memory_threshold": memory_watchdog.THRESHOLD,
        }
        return Job("run", arguments)


class _Served:
    """Communication with one running driver process."""

    def __init__(
        self,
        executor: RayExecutor,
        process: DriverProcess,
        flight: Flight,
        flag: Location,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        self._executor, self._process, self._flight, self._flag = executor, process, flight, flag
        self._interrupt, self._on_tick = interrupt, on_tick
        self._flagged = self._sent_stop = False
        self._ticked = 0.0

    def serve(self) -> None:
        """Handles the driver's messages until its work is done or it has been stopped.

        Raises:
            KeyboardInterrupt: At the second interruption.
            InputError: If the driver rejects the input.
            ExecutionLost: If the driver has died, or rejects input that was accepted before.
        """
        while True:
            try:
                if (now := time.monotonic()) - self._ticked >= WAIT_S:
                    self._ticked = now
                    self._on_tick()
                if self._interrupt.requested or self._flight.stopped:
                    self._stop()
                    if not self._flight.started:
                        return
                message = self._next()
                if isinstance(message, Result):
                    return
                self._handle(message)
            except KeyboardInterrupt:
                if self._interrupt.requested:
                    raise
                self._interrupt.request("KeyboardInterrupt")

    def _next(self) -> Message | None:
        try:
            return self._process.next(WAIT_S)
        except InputError as error:
            if not self._flight.ever_started:
                raise
            raise ExecutionLost(str(error).rstrip("."), final=True) from None  # the cluster is gone

    def _handle(self, message: Message | None) -> None:
        if isinstance(message, Event):
            self._flight.observe(TrialEvent.from_json(message.text))
            if message.waits:
                self._process.send(Seen())
        elif isinstance(message, Take):
            self._process.send(self._flight.assign(message) if not self._interrupt.requested else Assigned())
        elif isinstance(message, Tick) and message.slots is not None:
            self._executor.slots = message.slots

    def _stop(self) -> None:
        """Starts no more trials; on interruption also writes the workers' stop flag, retrying until it is stored."""
        if not self._sent_stop:
            self._sent_stop = True
            self._flight.stop()
            self._process.send(Stop())
        if self._interrupt.requested and not self._flagged:
            with contextlib.suppress(OSError):
                self._flag.write_atomic(b"stop")
                self._flagged = True
