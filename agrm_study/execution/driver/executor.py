"""Interface of the executors that run trials, and the executor that runs them in this process without Ray."""

from __future__ import annotations

import os
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.trial.events import UNDER_WAY, OnEvent, TrialEvent
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.work import WorkerSettings
from agrm_study.records.location import Location

IDLE_S: Final = 0.1
"""Seconds between two requests for a trial while none is available."""


def how_to_resume(results: Location) -> str:
    """Effect of rerunning the command after a lost run; trials resume from checkpoints only if checkpoints exist."""
    saved = any(beat.saved_wall_s > 0 for beat in Heartbeat.read_all(results))
    return f"Finished trials are kept; the same command resumes the others{' from checkpoints' if saved else ''}."


class ExecutionLost(Exception):
    """The backend died while trials ran; finished trials are recorded, and the next run resumes the rest.

    Its text is a clause without a full stop; `final` means that an immediate retry would fail in the same way.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Executor(ABC):
    """Runs the trials that a source hands out.

    Records are written by the process that runs the trial. A trial without a ``finished`` or ``failed`` event has no
    record and resumes from its checkpoint in the next run.

    Attributes:
        slots: Number of concurrent trials; exact once `run` has started.
    """

    slots: int = 1

    @abstractmethod
    def run(
        self,
        source: WorkSource,
        settings: WorkerSettings,
        *,
        on_event: OnEvent,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        """Runs the trials until the source is exhausted and its trials have ended, or until an interruption.

        Args:
            on_event: Called with every event of a trial, in the calling thread.
            interrupt: When requested, running trials stop at their next epoch boundary and no trial is started.
            on_tick: Called several times a second, or after every epoch.

        Raises:
            KeyboardInterrupt: At the second interruption, after all workers have exited.
            ExecutionLost: When no trial can continue because the backend has died.
        """


class InlineExecutor(Executor):
    """In-process counterpart of `RayExecutor`: same worker, same events, same records, one trial at a time."""

    def run(
        self,
        source: WorkSource,
        settings: WorkerSettings,
        *,
        on_event: OnEvent,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        from agrm_study.execution.trial.worker import TrialWorker

        worker = TrialWorker(settings, should_stop=lambda: interrupt.requested)
        try:
            while not interrupt.requested and not source.exhausted:
                if (work := source.take()) is None:  # the source waits for trials of other joined runs
                    on_tick()
                    time.sleep(IDLE_S)
                    continue
                worker.begin(work)
                trial = work.trial
                begun = TrialEvent(kind="started", trial_id=trial.trial_id, epochs=work.steps)
                on_event(replace(begun, host=platform.node(), pid=os.getpid()))
                while True:
                    event = worker.step()
                    on_event(event)
                    on_tick()
                    if event.kind not in UNDER_WAY:
                        break
        finally:
            worker.drop()
