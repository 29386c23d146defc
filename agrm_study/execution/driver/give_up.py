"""Failure of a trial whose workers died more often than the retry limit allows."""

from __future__ import annotations

from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.failures import Failure
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.records import first_beat, record_failure
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.records.location import Location


def give_up(work: Work, settings: WorkerSettings, failure: Failure) -> TrialEvent:
    """Records the failure of a trial and returns its event."""
    trial_id = work.trial.trial_id
    beat = Heartbeat.read(Location.of(settings.results), trial_id) or first_beat(work, "cpu", settings.threads)
    message = failure.message
    try:
        record_failure(settings.results, work, failure, beat, pauses_s=())  # everything else waits meanwhile
    except OSError as error:
        message = f"{message} (and its record could not be written: {error})"
    return TrialEvent(
        kind="failed",
        trial_id=trial_id,
        epoch=beat.epoch,
        epochs=beat.epochs,
        failure=failure.kind,
        error=message,
        attempt=beat.attempt,
        wall_s=beat.wall_s,
        host=beat.host,
    )
