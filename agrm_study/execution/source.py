"""Which trial comes next, and which are not worth starting?"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from agrm_study.execution.events import TrialEvent
from agrm_study.execution.work import Work

HOLD_AFTER: Final = 3
"""Equal failures of different trials of an arm after which the rest of the arm is not started."""


class WorkSource:
    """The trials of a run that have not been started, in order; safe to use from several threads."""

    def __init__(self, works: Sequence[Work], hold_after: int = HOLD_AFTER) -> None:
        self._waiting = deque(works)
        self._arm_of = {work.trial.trial_id: work.trial.arm for work in works}
        self._work_of = {work.trial.trial_id: work for work in works}
        self._failures: dict[tuple[str, str | None, str], set[str]] = {}
        self._held_arms: dict[str, str] = {}
        self._held: list[Work] = []
        self._hold_after = hold_after
        self._stopped = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._work_of)

    def work(self, trial_id: str) -> Work:
        """The work of a trial of this run."""
        return self._work_of[trial_id]

    def take(self) -> Work | None:
        """The next trial to start, ``None`` when there is none (now)."""
        with self._lock:
            while self._waiting and not self._stopped:
                work = self._waiting.popleft()
                if work.trial.arm in self._held_arms:
                    self._held.append(work)
                    continue
                return work
            return None

    @property
    def exhausted(self) -> bool:
        """Whether no trial will be handed out any more."""
        return self._stopped or not self._waiting

    def stop(self) -> None:
        """Hands out nothing more."""
        self._stopped = True

    def observe(self, event: TrialEvent) -> str | None:
        """Takes note of an event.

        Returns:
            The arm, when this event is the one that holds the rest of it back.
        """
        if event.kind != "failed" or event.failure not in ("bug", "data"):
            return None
        arm = self._arm_of[event.trial_id]
        with self._lock:
            equal = self._failures.setdefault((arm, event.failure, event.frame or (event.error or "")), set())
            equal.add(event.trial_id)
            if len(equal) < self._hold_after or arm in self._held_arms:
                return None
            self._held_arms[arm] = event.error or event.failure
            return arm

    def drain_held(self) -> list[Work]:
        """Trials of held arms that were not started, each told once."""
        with self._lock:
            still = deque(work for work in self._waiting if work.trial.arm not in self._held_arms)
            held = self._held + [work for work in self._waiting if work.trial.arm in self._held_arms]
            self._waiting, self._held = still, []
            return held
