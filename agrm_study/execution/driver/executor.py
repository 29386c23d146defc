"""Interface of what runs the trials of a study: Ray Tune, or this process (`inline`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.trial.events import OnEvent
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.work import WorkerSettings
from agrm_study.records.location import Location


def goes_on(results: Location) -> str:
    """What the same command does after a run was lost: it goes on from checkpoints only where there are some."""
    saved = any(beat.saved_wall_s > 0 for beat in Heartbeat.read_all(results))
    return f"What had finished is kept; the same command goes on{' from the last checkpoints' if saved else ''}."


class ExecutionLost(Exception):
    """What ran the trials has died under them; what had finished is recorded, the rest goes on in the next run.

    Args:
        reason: A clause without a full stop.
        final: Whether trying again at once would fail in the same way.
    """

    def __init__(self, reason: str = "", *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


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
