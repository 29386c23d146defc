"""Failure of a trial whose workers died more often than the retry limit allows."""

from __future__ import annotations

from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.failures import Failure
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.records import first_beat, record_failure
from agrm_study.execution.trial.running_trial import failed_event
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.records.location import Location


def give_up(work: Work, settings: WorkerSettings, failure: Failure) -> TrialEvent:
    """Records the failure of a trial and returns its event."""
    beat = Heartbeat.read(Location.of(settings.results), work.trial.trial_id) or first_beat(
        work, "cpu", settings.threads
    )
    message = failure.message
    try:
        record_failure(settings.results, work, failure, beat, pauses_s=())  # no retries: other work waits for it
    except OSError as error:
        message = f"{message} (and its record could not be written: {error})"
    return failed_event(beat, failure, message)
