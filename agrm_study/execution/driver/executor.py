"""Who runs the trials? Every executor does it behind this interface; `inline` is the twin of `ray_tune` for tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.trial.events import OnEvent
from agrm_study.execution.trial.work import WorkerSettings

GOES_ON: Final = "What had finished is kept; the same command goes on from the last checkpoints."
"""What a person should know when a run was lost."""


class ExecutionLost(Exception):
    """What ran the trials has died under them; what had finished is recorded, the rest goes on in the next run."""


class Executor(ABC):
    """Runs what a source hands out.

    Records are written by whoever runs the trial. A trial for which neither a ``finished`` nor a ``failed`` event was
    sent has no record and runs again, from its checkpoint, in the next run.

    Attributes:
        slots: Trials at once; exact once `run` has begun.
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
        """Returns when the source is exhausted and its trials have ended, or after an interruption.

        Args:
            source: Hands out trials.
            settings: What is the same for all trials.
            on_event: Told of everything that happens to a trial, in the calling thread.
            interrupt: When requested, running trials stop at their next epoch boundary and none is started.
            on_tick: Called several times a second, or at every epoch.

        Raises:
            KeyboardInterrupt: At the second interruption; workers are gone by then.
            ExecutionLost: When no trial can go on, as what runs them has died.
        """
