"""Source of the trials of a run; an arm that keeps failing is held back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.repeated_failures import RepeatedFailures
from agrm_study.execution.trial.work import Work


class WorkSource:
    """The trials of a run that have not been started, in order.

    Args:
        works: The trials, in execution order.
        order: The queue in which they wait; by default, each trial can start immediately.
        drop: Called with each stage that no trial of the run needs any more.

    Attributes:
        runs: Known number of runs that share these trials.
        merges: Whether this run merges the records of trials that have finished.
    """

    runs = 1
    merges = True

    def __init__(
        self, works: Sequence[Work], *, order: TrialQueue | None = None, drop: Callable[[str], None] = lambda key: None
    ) -> None:
        self._order = order or TrialQueue(works)
        self._drop = drop
        self._work_of = {work.trial.trial_id: work for work in works}
        self._repeated = RepeatedFailures()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._work_of)

    def work(self, trial_id: str) -> Work:
        """The work of a trial of this run."""
        return self._work_of[trial_id]

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        """The next trial to start; ``None`` if there is none, or all of them wait for running trials.

        Accelerators in `full` (`Work.accelerator`) have no capacity for another trial now.
        """
        return None if self._stopped else self._order.pop(full)

    @property
    def exhausted(self) -> bool:
        """Whether no more trials will be handed out."""
        return self._stopped or not len(self._order)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called; trials handed out before must not be restarted either."""
        return self._stopped

    def poll(self) -> list[TrialEvent]:
        """Events of trials that other runs have completed since the last call."""
        return []

    def awaited(self) -> dict[str, str]:
        """Stages that waiting trials wait for, each with a running trial that will save it."""
        return self._order.awaited()

    def stop(self) -> None:
        """Stops handing out trials."""
        self._stopped = True

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        """Updates the source with an event; returns the other trials of its arm if the event causes them to be held
        back."""
        for key in self._order.observe(event):
            self._drop(key)
        arm = self.work(event.trial_id).trial.arm
        if not self._repeated.add(arm, event.trial_id, event.failure, event.error or "", event.frame):
            return ()
        return self.hold(arm)

    def put_back(self, trial_id: str) -> None:
        """Takes back a trial that was handed out and no longer runs, to hand it out again."""
        self._order.put_back(trial_id)

    def set_aside(self, trial_id: str) -> None:
        """Takes back a trial that was handed out and has not started, and leaves it to the next run."""
        self._order.put_back(trial_id)
        self._order.withdraw(trial_id)

    def count_failures(self, repeated: RepeatedFailures) -> None:
        """Continues from the failure counts of earlier runs."""
        self._repeated = repeated

    def hold(self, arm: str) -> Sequence[Work]:
        """Stops handing out trials of an arm; returns the trials that were not started."""
        self._repeated.held.add(arm)
        return self._order.remove({arm})


class WrappedSource(WorkSource):
    """The trials of another source; a subclass restricts which of them are handed out, and when."""

    def __init__(self, source: WorkSource) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def work(self, trial_id: str) -> Work:
        return self._source.work(trial_id)

    @property
    def stopped(self) -> bool:
        return self._source.stopped

    def stop(self) -> None:
        self._source.stop()

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        return self._source.observe(event)

    def put_back(self, trial_id: str) -> None:
        self._source.put_back(trial_id)

    def set_aside(self, trial_id: str) -> None:
        self._source.set_aside(trial_id)
