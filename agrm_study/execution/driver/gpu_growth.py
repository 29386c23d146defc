"""Restart of trials that ran out of GPU memory, on a larger share of a GPU, up to a whole GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Final

from agrm_study.execution.resources.gpu_share import share_words
from agrm_study.execution.trial.events import TrialEvent

WHOLE_IS_TOO_SMALL: Final = "a whole GPU was not enough"


def larger_share(share: float) -> float:
    """The next share 1/k of a GPU that is at least twice the given one: 1/5 → 1/2 → 1."""
    k = Fraction(share).limit_denominator(1000).denominator
    return 1.0 / max(1, k // 2)


class GpuGrowth:
    """GPU shares of the trials of a run; used by one thread.

    For the source of the trials, a restarted trial has not ended: the source receives an event that the trial was put
    back. A restart does not count as one of a trial's retries after a worker's death.

    Args:
        share: Initial number of GPUs per trial; can grow if it is below 1.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._grown: dict[str, float] = {}
        self._again: deque[str] = deque()
        self._expected: set[str] = set()

    def share(self, trial_id: str) -> float:
        """Current number of GPUs of a trial."""
        return self._grown.get(trial_id, self._share)

    def answer(self, event: TrialEvent, *, stopped: bool) -> TrialEvent:
        """The event to report: a trial that ran out of GPU memory is put back while its share can grow.

        If no more trials are started (`stopped`), the failure is final for this run, and the next run retries the
        trial.
        """
        share = self.share(event.trial_id)
        if event.failure != "oom_gpu" or event.kind != "failed" or stopped or share <= 0:
            return event
        if share >= 1:
            return replace(event, error=f"{WHOLE_IS_TOO_SMALL}: {event.error}")
        self._grown[event.trial_id] = larger = larger_share(share)
        self._again.append(event.trial_id)
        why = f"1/{round(1 / share)} of a GPU was not enough, retried on {share_words(larger)}"
        return replace(event, kind="retried", error=why)

    def next(self, fits: Callable[[str], bool] = lambda trial_id: True) -> str | None:
        """The next trial to restart, among the trials for which there is capacity."""
        trial_id = next((waiting for waiting in self._again if fits(waiting)), None)
        if trial_id is not None:
            self._again.remove(trial_id)
            self._expected.add(trial_id)
        return trial_id

    def started(self, trial_id: str) -> None:
        """Registers the start of a trial."""
        self._expected.discard(trial_id)

    @property
    def pending(self) -> bool:
        """Whether a trial to be restarted has not been handed out yet."""
        return bool(self._again)

    @property
    def needs_room(self) -> set[str]:
        """Trials that wait for a larger share: freed GPU memory must not be taken by smaller trials."""
        return self._expected.union(self._again)

    def stop(self) -> None:
        """Stops handing out trials."""
        self._again.clear()
        self._expected.clear()
