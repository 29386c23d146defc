"""Source of trials that joined runs share: a trial is claimed before it is handed out.

A trial that another run has claimed counts as running, so trials that share its stages wait for it as they would within
one run. When it ends, its record becomes an event of this run; if the other run ends without recording it, the trial is
handed out again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import replace
from typing import Final

from agrm_study.execution.dispatch.recorded import recorded_events
from agrm_study.execution.dispatch.work_source import WorkSource, WrappedSource
from agrm_study.execution.results_folder.leases import Leases
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import Work
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

LOOK_BUSY_S: Final = 10.0
LOOK_IDLE_S: Final = 1.0
"""Minimum seconds between two checks of other runs: while trials run here (busy), or while none is available (idle)."""
WATCH_S: Final = 1.0
"""Minimum seconds, per joined run, between two checks of the holders of trials while trials run here."""
LOOK_SHARE: Final = 0.05
"""Maximum share of its time that a run spends on such checks."""


class JoinedSource(WrappedSource):
    """Hands out those trials of a source that this run has claimed; used by one thread.

    A run without available trials ends once it has watched the holders of the remaining trials for long enough to know
    that they are alive. It continues to wait while the end of those trials may release further trials of a shared stage
    or a race round.

    Args:
        source: Source of all trials.
        metric: Validation metric that events contain.
        stage_epoch: Returns the epoch of a saved stage; ``None`` if it is not saved.
    """

    def __init__(
        self,
        source: WorkSource,
        leases: Leases,
        results: Location,
        *,
        metric: str,
        stage_epoch: Callable[[str], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source)
        self._leases, self._results = leases, results
        self._metric, self._stage_epoch, self._clock = metric, stage_epoch, clock
        self._mine: set[str] = set()
        self._elsewhere: dict[str, None] = {}  # in the order in which they were found
        self._recorded: set[str] = set()  # trials with a record, as of the last check
        self._given_back: set[str] = set()  # trials that other runs held and gave back
        self._idle_since: float | None = None
        self._look_at = self._watch_at = 0.0
        self._ledger = Ledger(results)

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        while (work := self._source.take(full)) is not None:
            if work.trial.trial_id in self._mine or self._claim(work):
                self._idle_since = None
                return work
            self._elsewhere[work.trial.trial_id] = None
        if self._idle_since is None:
            self._idle_since, self._look_at = self._clock(), 0.0
        return None

    @property
    def elsewhere(self) -> Set[str]:
        """Trials that other runs hold or have completed."""
        return self._elsewhere.keys()

    @property
    def exhausted(self) -> bool:
        if not self._source.exhausted or self._source.stopped:
            return self._source.stopped
        return not self._elsewhere or self._holders_live

    @property
    def _holders_live(self) -> bool:
        """Whether this run has been idle for long enough to know that the other runs that hold trials are alive."""
        return self._idle_since is not None and self._clock() - self._idle_since >= 1.5 * self._leases.expires_s

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        if event.kind == "failed" and not event.elsewhere:  # trials of other runs may have failed in the same way
            self._look_at = 0.0
        return super().observe(event)

    def set_aside(self, trial_id: str) -> None:
        super().set_aside(trial_id)
        self._mine.discard(trial_id)
        self._leases.release(trial_id)

    def poll(self) -> list[TrialEvent]:
        """Events of trials that other runs have completed since the last call; the check frequency is limited."""
        began = self._clock()
        if not self._elsewhere or began < self._look_at or self._source.stopped:
            return []
        idle = self._idle_since is not None
        events: list[TrialEvent] = []
        with contextlib.suppress(OSError):  # retried at the next check
            free = []
            if idle or began >= self._watch_at:
                free = [trial_id for trial_id in self._elsewhere if self._leases.is_free(trial_id, ask=idle)]
                self._watch_at = began + max(self._leases.expires_s, WATCH_S * self.runs)
            others = self._leases.others()
            self.runs, self.merges = 1 + len(others), self._leases.run < min(others, default="~")  # only one run merges
            self._recorded = self._ledger.recorded("trials")  # after the check, since holders first write the record
            ended = [self.work(trial_id) for trial_id in self._elsewhere if trial_id in self._recorded]
            events = recorded_events(self._ledger, self._metric, ended, {})
            for event in events:
                if event.kind in ("finished", "failed"):
                    self._elsewhere.pop(event.trial_id, None)
            for trial_id in free:
                if trial_id in self._elsewhere:
                    del self._elsewhere[trial_id]
                    self._given_back.add(trial_id)
                    self._source.put_back(trial_id)
            if idle:
                self._look_for_stages()
        if events and idle:
            self._idle_since = self._clock()
        now = self._clock()
        self._look_at = now + max(LOOK_IDLE_S if idle else LOOK_BUSY_S, (now - began) / LOOK_SHARE)
        return [replace(event, elsewhere=True) for event in events]

    def _claim(self, work: Work) -> bool:
        """Claims a trial; returns whether this run is to execute it."""
        trial_id = work.trial.trial_id
        if not work.attempts and trial_id in self._recorded and trial_id not in self._given_back:
            return False
        if self._leases.claim(trial_id) != self._leases.run:
            return False
        loose = self._results / "records" / "trials" / f"{trial_id}.parquet"
        if (not self._leases.is_first(trial_id) or loose.exists()) and recorded_events(
            self._ledger, self._metric, [work], {}
        ):
            self._look_at = 0.0
            return False
        self._mine.add(trial_id)
        return True

    def _look_for_stages(self) -> None:
        """Releases trials that wait for a stage that another run has saved."""
        for key, trial_id in self._source.awaited().items():
            if trial_id in self._elsewhere and (epoch := self._stage_epoch(key)) is not None:
                self._source.observe(TrialEvent(kind="epoch", trial_id=trial_id, epoch=epoch, saved_stage=key))
