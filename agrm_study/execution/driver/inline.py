"""In-process executor: runs trials without Ray, one after the other."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.executor import Executor
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.trial.events import UNDER_WAY, OnEvent, TrialEvent
from agrm_study.execution.trial.work import WorkerSettings
from agrm_study.execution.trial.worker import TrialWorker


class InlineExecutor(Executor):
    """The in-process twin of `RayExecutor`: same worker, same events, same records, one trial at a time."""

    def run(
        self,
        source: WorkSource,
        settings: WorkerSettings,
        *,
        on_event: OnEvent,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        worker = TrialWorker(settings, should_stop=lambda: interrupt.requested)
        try:
            while not interrupt.requested and (work := source.take()) is not None:
                worker.begin(work)
                trial = work.trial
                on_event(
                    TrialEvent(
                        kind="started",
                        trial_id=trial.trial_id,
                        epochs=trial.recipe.epochs,
                        host=platform.node(),
                        pid=os.getpid(),
                    )
                )
                while True:
                    event = worker.step()
                    on_event(event)
                    on_tick()
                    if event.kind not in UNDER_WAY:
                        break
        finally:
            worker.drop()
