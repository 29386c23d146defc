"""Trials that are handed out and have not ended, and their recovery when the driver process dies."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from agrm_study.execution.dispatch.recorded import recorded_events
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.give_up import give_up
from agrm_study.execution.driver.gpu_growth import GpuGrowth
from agrm_study.execution.driver.protocol import Assigned, Take
from agrm_study.execution.trial.events import UNDER_WAY, OnEvent, TrialEvent
from agrm_study.execution.trial.failures import Failure
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.records.reader import Ledger


class Flight:
    """Hands out the trials of a source, and takes them back when the driver process dies.

    Args:
        share: Number of GPUs per trial.
        losses: Maximum number of consecutive driver deaths during a trial that neither ended nor was saved in between;
            after one more, the trial is recorded as failed, since it may be the cause.

    Attributes:
        started: Trials that a worker has started and that have not ended.
        ever_started: Whether any worker has started.
    """

    def __init__(
        self, source: WorkSource, settings: WorkerSettings, *, share: float, losses: int, on_event: OnEvent
    ) -> None:
        self._source, self.settings, self._on_event = source, settings, on_event
        self._growth = GpuGrowth(share)
        self._held: dict[str, Work] = {}
        self._attempts: dict[str, int] = {}  # trial → attempt of the last record seen
        self._saved: dict[str, int] = {}
        self._most_losses, self._losses = losses, Counter[str]()
        self.started: set[str] = set()
        self.ever_started = False
        self._achieved = False  # whether a trial has ended or was saved since the last `reconcile`

    @property
    def total(self) -> int:
        """Number of trials of the source."""
        return len(self._source)

    @property
    def has_trials(self) -> bool:
        """Whether there is a trial to run, either a new one or one that was handed out before."""
        return not self._source.exhausted or (self._growth.pending and not self._source.stopped)

    @property
    def stopped(self) -> bool:
        """Whether no more trials are handed out, and trials already handed out need not start."""
        return self._source.stopped

    def stop(self) -> None:
        """Stops handing out trials."""
        self._source.stop()
        self._growth.stop()

    def assign(self, take: Take) -> Assigned:
        """The next trial: a trial to be restarted on a larger share of a GPU, otherwise a new one.

        No new trial is handed out for an accelerator on which a trial waits for a larger share.
        """
        work = self._next(frozenset(take.full), idle=take.idle)
        if work is None:
            return Assigned(finished=not self.has_trials)
        trial_id = work.trial.trial_id
        self._held[trial_id] = work
        return Assigned(work.to_json(), self._growth.share(trial_id))

    def _next(self, full: frozenset[str | None], *, idle: bool) -> Work | None:
        if self._source.stopped:
            return None
        again = self._growth.next(lambda trial_id: self._source.work(trial_id).accelerator not in full)
        if again is not None:
            return self._source.work(again)
        waited_for = {self._source.work(trial_id).accelerator for trial_id in self._growth.needs_room}
        work = self._source.take(full | waited_for)
        if work is None and idle and not waited_for:
            return self._source.take()  # its nodes are gone; a pending trial signals demand to the autoscaler
        return work

    def observe(self, event: TrialEvent) -> None:
        """Updates the state with an event and forwards it."""
        trial_id = event.trial_id
        if event.kind == "started":
            self._growth.started(trial_id)
            self.started.add(trial_id)
            self.ever_started = True
        if event.kind in ("epoch", "interrupted") and event.saved > self._saved.setdefault(trial_id, event.resumed):
            self._saved[trial_id] = event.saved
            self._achieved = True
            del self._losses[trial_id]
        if event.kind in ("finished", "failed"):
            self._attempts[trial_id] = event.attempt
            self._achieved = True
        passed = self._growth.answer(event, stopped=self._source.stopped)
        if passed.kind == "retried":
            passed = replace(passed, epoch=self._saved.get(trial_id, 0))
        if event.kind not in ("started", *UNDER_WAY):
            self.started.discard(trial_id)
            if event.kind != "retried":
                self._held.pop(trial_id, None)
        self._on_event(passed)

    def reconcile(self, reason: str) -> bool:
        """Reconciles the trials in flight after the driver process has died, for the given reason.

        Trials with a record from this run have ended; the others are put back and resume from their checkpoints.

        Returns:
            Whether a trial has ended or was saved since the last call.
        """
        began = set(self.started)
        ledger = Ledger(self.settings.results)
        for event in recorded_events(ledger, self.settings.metric, self._held.values(), self._attempts):
            self.observe(event)
        for trial_id, work in () if self._source.stopped else list(self._held.items()):
            self._losses[trial_id] += trial_id in began
            if self._losses[trial_id] > self._most_losses:
                failure = Failure("worker_killed", f"{self._losses[trial_id]} times in a row, last: {reason}")
                self.observe(give_up(work, self.settings, failure))
                continue
            if trial_id in began:
                epochs = work.trial.recipe.epochs
                self.observe(
                    TrialEvent(kind="retried", trial_id=trial_id, epochs=epochs, failure="worker_killed", error=reason)
                )
            self._growth.started(trial_id)
            self._source.put_back(trial_id)
        self._held.clear()
        self.started.clear()
        achieved, self._achieved = self._achieved, False
        return achieved
