"""Client of the run's trial source, used in the driver process."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.protocol import Assigned, Event, Take
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import Work

ASK_EVERY_S: Final = 1.0
"""Seconds between two requests for a trial while nothing has changed."""


class RemoteSource:
    """Requests trials from the run and reports events to it; used by one thread.

    Args:
        channel: Connection to the run.
        total: Trials of the run.
        prune: Whether the run may end a trial after an epoch: the next one starts only after that decision.
    """

    def __init__(self, channel: Channel, total: int, *, prune: bool) -> None:
        self._channel, self._total, self._prune = channel, total, prune
        self._works: dict[str, Work] = {}
        self._shares: dict[str, float] = {}
        self._asked: Take | None = None
        self._asked_at = 0.0
        self._finished = False

    def __len__(self) -> int:
        return self._total

    def work(self, trial_id: str) -> Work:
        """The work of a trial that was handed out."""
        return self._works[trial_id]

    def share(self, trial_id: str) -> float:
        """GPUs of a trial that was handed out."""
        return self._shares[trial_id]

    def report(self, event: TrialEvent) -> None:
        """Sends an event; the trials available may change afterwards."""
        if self._prune and event.kind == "epoch":
            self._channel.ask(Event(event.to_json(), waits=True))
        else:
            self._channel.send(Event(event.to_json()))
        self._asked = None

    def take(self, full: Collection[str | None], *, idle: bool) -> Work | None:
        """The next trial to start, ``None`` for none now.

        Args:
            full: Accelerators that have no room.
            idle: Whether no trial is held.
        """
        if self.stopped:
            return None
        take, now = Take(tuple(sorted(full, key=str)), idle), time.monotonic()
        if take == self._asked and now - self._asked_at < ASK_EVERY_S:
            return None
        assigned = self._channel.ask(take)
        assert isinstance(assigned, Assigned)
        self._finished = assigned.finished
        self._asked, self._asked_at = take, now
        if assigned.work is None:
            return None
        self._asked = None
        work = Work.from_json(assigned.work)
        self._works[work.trial.trial_id] = work
        self._shares[work.trial.trial_id] = assigned.share
        return work

    @property
    def exhausted(self) -> bool:
        """Whether no trial will be handed out any more, by the last reply; unknown after an event."""
        return self.stopped or (self._finished and self._asked is not None)

    @property
    def stopped(self) -> bool:
        """Whether the run was interrupted: trials that were handed out and have no worker must not start."""
        return self._channel.stopped
