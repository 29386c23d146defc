"""A trial in progress in a worker, and its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agrm_study.execution.trial.checkpoints import CheckpointFolder
from agrm_study.execution.trial.events import EventKind, TrialEvent
from agrm_study.execution.trial.failures import Failure
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.runner import TrialRunner
from agrm_study.execution.trial.stage_store import Handover
from agrm_study.execution.trial.work import Work
from agrm_study.training.outcome import EpochRow


@dataclass(slots=True)
class RunningTrial:
    """A trial in progress; `last` is the heartbeat of an earlier attempt."""

    work: Work
    folder: CheckpointFolder
    runner: TrialRunner
    beat: Heartbeat
    last: Heartbeat | None
    handover: Handover
    started: bool = False
    resumed: int = 0
    saved: int = 0
    inherited: int = 0
    earlier_metrics: tuple[float | None, ...] = ()
    saved_stage: str = ""
    stage_error: str = ""
    rows: list[EpochRow] = field(default_factory=list)
    saved_at: float = 0.0
    save_s: float = 0.0
    beat_at: float = 0.0

    def event(self, kind: EventKind) -> TrialEvent:
        """An event of the trial in its current state."""
        return replace(
            event_of(kind, self.beat),
            resumed=self.resumed,
            saved=self.saved,
            inherited=self.inherited,
            earlier_metrics=self.earlier_metrics,
            saved_stage=self.saved_stage,
            stage_error=self.stage_error,
        )


def failed_event(beat: Heartbeat, failure: Failure, message: str) -> TrialEvent:
    """The event of a failed trial, with its last heartbeat."""
    event = event_of("failed", replace(beat, metric=None, epoch_s=0.0))
    return replace(event, failure=failure.kind, error=message, frame=failure.frame)


def event_of(kind: EventKind, beat: Heartbeat) -> TrialEvent:
    """An event with the content of a heartbeat."""
    return TrialEvent(
        kind=kind,
        trial_id=beat.trial_id,
        epoch=beat.epoch,
        epochs=beat.epochs,
        metric=beat.metric,
        wall_s=beat.wall_s,
        epoch_s=beat.epoch_s,
        attempt=beat.attempt,
        host=beat.host,
        pid=beat.pid,
    )
