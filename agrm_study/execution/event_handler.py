"""Handling of trial events during a run."""

from __future__ import annotations

from collections.abc import Callable

from agrm_study.execution.dispatch.budget import Budget
from agrm_study.execution.dispatch.usage_meter import UsageMeter
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.results_folder.upkeep import Compacting
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.repeated_failures import HOLD_AFTER
from agrm_study.study.counted import counted


class EventHandler:
    """Forwards trial events to progress, view, limits and source, and holds back trials that would fail again.

    Args:
        view: Shows the events of this run's trials; events of other joined runs are only counted.
    """

    def __init__(self, view: View, meter: UsageMeter, budget: Budget, on_note: Callable[[str], None]) -> None:
        self._view, self._meter, self._budget, self._note = view, meter, budget, on_note
        self._stage_error_shown = False
        self._hopeless = HopelessRun(on_note)

    def handle(self, event: TrialEvent, source: WorkSource, progress: StudyProgress, compacting: Compacting) -> None:
        """Handles one event of a phase."""
        if not event.elsewhere:
            self._meter.observe(event)
            self._budget.observe(event)
        trial = progress.apply(event)
        if not event.elsewhere:
            self._view.event(event, trial)
        if event.kind == "finished" and source.merges:
            compacting.finished()
        if event.kind == "preparing" and event.message:
            self._note(event.message)
        if event.stage_error and not self._stage_error_shown:
            self._stage_error_shown = True
            self._note(f"Epochs shared with other trials could not be saved: {event.stage_error}")
        if held := source.observe(event):
            for work in held:
                progress.apply(TrialEvent(kind="held", trial_id=work.trial.trial_id))
            self._note(
                f"{held[0].trial.arm}: {HOLD_AFTER} trials failed in the same way; "
                f"{counted(len(held), 'other trial is', 'other trials are')} held back. "
                "Fix the cause, then rerun with --retry-failed."
            )
        if event.kind == "failed" and not event.elsewhere:  # a failure in another run may be caused by its machine
            self._hopeless.observe(event, source)


class HopelessRun:
    """Stops a source if all further trials would run and then fail: storage rejects writes, or versions differ."""

    def __init__(self, on_note: Callable[[str], None]) -> None:
        self._note = on_note
        self._refused: set[str] = set()  # trials whose results could not be stored

    def observe(self, event: TrialEvent, source: WorkSource) -> None:
        """Handles the failure of a trial."""
        if event.failure == "storage":
            self._refused.add(event.trial_id)
            if len(self._refused) == HOLD_AFTER:
                source.stop()
                self._note(
                    f"{HOLD_AFTER} trials could not write their results; no further trials are started. Free space or "
                    "fix the permissions, then rerun the command."
                )
        elif event.failure == "versions" and not source.stopped:
            source.stop()
            self._note(
                f"No further trials are started: {event.error}. "
                "Install the same version everywhere, then rerun the command."
            )
