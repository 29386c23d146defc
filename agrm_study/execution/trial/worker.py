"""Worker that runs a trial from start to record and turns failures into records.

The same worker runs inside a Ray actor and, in tests, inside the calling process. `begin` and `step` never raise an
`Exception`: a trial that fails becomes a record, and the worker is ready for the next trial.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agrm_study.execution.trial.checkpoints import CheckpointFolder
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.failures import Failure, classify
from agrm_study.execution.trial.fence import FencedError, check_fence
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.predict_again import InexactError, predict_again
from agrm_study.execution.trial.pruning import ends_after, forget
from agrm_study.execution.trial.records import (
    epoch_columns,
    finished_columns,
    first_beat,
    metric_by_epoch,
    prediction_blocks,
    record_failure,
    run_columns,
    trial_columns,
)
from agrm_study.execution.trial.runner import RunnerContext, load_runner
from agrm_study.execution.trial.running_trial import RunningTrial, failed_event
from agrm_study.execution.trial.stage_store import Handover, StageStore
from agrm_study.execution.trial.versions import refuse_others, versions_of_trial
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.records.location import Location
from agrm_study.records.part_sources import offer_kept_sources
from agrm_study.records.patience import PAUSES_S, retry_storage
from agrm_study.records.schemas import PRUNED
from agrm_study.records.writer import write_trial

HEARTBEAT_EVERY_S: Final = 2.0
"""Minimum seconds between two heartbeats."""
SAVE_SHARE: Final = 0.05
"""Maximum share of a trial's time spent on rolling checkpoints, which are written less often on slow storage."""
MOST_SECONDS_UNSAVED: Final = 1800.0
"""Maximum seconds between two rolling checkpoints."""


class TrialWorker:
    """Runs trials sequentially until `should_stop` returns true; the default checks the stop flag in the settings."""

    def __init__(self, settings: WorkerSettings, should_stop: Callable[[], bool] | None = None) -> None:
        self.settings = settings
        self._results = Location.of(settings.results).anchored()
        offer_kept_sources(self._results)
        self._flag = Location.of(settings.stop_flag) if settings.stop_flag else None
        self._should_stop = should_stop or self._flag_is_there
        self._work: Work | None = None
        self._running: RunningTrial | None = None

    def begin(self, work: Work) -> None:
        """Accepts a trial and releases the previous trial. The work itself starts with `step`."""
        self.drop()
        self._work = work

    def drop(self) -> None:
        """Releases the current trial."""
        running, self._running, self._work = self._running, None, None
        if running is not None:
            running.runner.close()

    def step(self) -> TrialEvent:
        """Runs one epoch of the trial; returns an ``epoch``, ``finished``, ``failed`` or ``interrupted`` event.

        While the data are being copied to this node, returns a ``preparing`` event every few seconds instead.
        """
        if self._work is None:
            raise RuntimeError("`begin` must be called before `step`")
        if self._running is None and self._should_stop():
            return self._interrupted(self._work)
        try:
            running = self._running = self._running or self._open(self._work)
            if not running.started:
                if note := running.runner.fetch(self._work, self.settings):
                    return self._not_yet(running, note)
                if self._work.predict_only:
                    return self._predict_again(running)
                self._start(running)
                if running.earlier_metrics:
                    return self._send_earlier(running)
            if self._is_pruned(running):
                return self._finish(running, PRUNED)
            return self._run_epoch(running)
        except FencedError:
            return self._interrupted(self._work)
        except Exception as error:  # a trial's failure is a result of the study
            return self._fail(self._work, classify(error))

    def _open(self, work: Work) -> RunningTrial:
        """Checks the versions, loads the runner and writes the first heartbeat."""
        refuse_others(self.settings.versions)
        folder = CheckpointFolder.of(self._results, work.trial.trial_id)
        last = retry_storage(lambda: Heartbeat.read(self._results, work.trial.trial_id))
        beat = first_beat(work, self.settings.device, self.settings.threads, last)
        if last is not None and last.code_version != beat.code_version:
            folder.discard()  # a trial uses a single version of the code
        runner = load_runner(self.settings.runner)
        retry_storage(lambda: beat.write(self._results))
        handover = Handover(StageStore.of(self._results), work, runner, beat.code_version, self._check_fence)
        return RunningTrial(work, folder, runner, beat, last, handover)

    def _not_yet(self, running: RunningTrial, note: str) -> TrialEvent:
        """Reports the operation that the trial is waiting for; there is nothing to save yet."""
        running.beat = replace(running.beat, note=note, updated_at=time.time())
        self._write_beat(running)
        stop = self._should_stop()
        event = replace(running.event("interrupted" if stop else "preparing"), note=note)
        if stop:
            self.drop()
        return event

    def _predict_again(self, running: RunningTrial) -> TrialEvent:
        """Recomputes the lost predictions of a finished trial; without an exact match, the next step trains it."""
        work = running.work
        retry_storage(running.folder.pull)
        running.runner.start(work, RunnerContext(settings=self.settings, checkpoint_dir=running.folder.local))
        try:
            end = predict_again(self._results, work, running.runner, self.settings.metric, self._check_fence)
        except InexactError as error:
            said = f"{work.trial.arm}, seed {work.trial.seed} is trained again: {error}."
            self.begin(replace(work, predict_only=False))
            return replace(running.event("preparing"), message=said)
        with contextlib.suppress(OSError):  # the trial is complete, even if files remain
            retry_storage(lambda: running.folder.finish(keep_weights=True))
            retry_storage(lambda: Heartbeat.remove(self._results, work.trial.trial_id))
        self.drop()
        return replace(running.event("finished"), **end)

    def _start(self, running: RunningTrial) -> None:
        """Prepares the trial for its next epoch."""
        work, runner, last = running.work, running.runner, running.last
        beat = replace(running.beat, note="")
        if last is not None:
            retry_storage(running.folder.pull)
        running.saved_at = running.beat_at = began = time.monotonic()
        context = RunnerContext(settings=self.settings, checkpoint_dir=running.folder.local)
        running.resumed = runner.start(work, context)
        taken_over = running.handover.load(running.resumed)
        wall_s = time.monotonic() - began
        if taken_over is not None:  # counts the time as if the trial had been trained alone
            running.resumed, running.inherited = 0, taken_over.epoch
            beat = replace(beat, wall_s=taken_over.wall_s + wall_s, saved_wall_s=0.0)
        elif running.resumed and last is not None:
            wall_s += last.saved_wall_s
            versions = versions_of_trial(last.versions, self.settings.threads)
            beat = replace(beat, started_at=last.started_at, wall_s=wall_s, versions=versions)
        else:
            beat = replace(beat, wall_s=wall_s, saved_wall_s=0.0)
        running.saved = running.resumed
        running.rows.extend(runner.rows())
        done = running.resumed or running.inherited
        if self.settings.prune:
            shown = metric_by_epoch(running.rows, work.trial.recipe, self.settings.metric)
            running.earlier_metrics = tuple(shown.get(epoch) for epoch in range(1, done + 1))
        running.beat = replace(beat, epoch=done)
        running.started = True

    def _send_earlier(self, running: RunningTrial) -> TrialEvent:
        """Sends the metrics of epochs that this attempt did not train, so that the pruner evaluates them before the
        next epoch is trained: a restarted driver makes the same decisions as the previous one."""
        running.beat = replace(running.beat, metric=running.earlier_metrics[-1])
        event = running.event("epoch")
        running.earlier_metrics = ()
        return event

    def _run_epoch(self, running: RunningTrial) -> TrialEvent:
        began = time.monotonic()
        report = running.runner.run_epoch()
        epoch_s = time.monotonic() - began
        running.rows.extend(report.rows)
        running.beat = replace(
            running.beat,
            epoch=report.epoch,
            metric=metric_by_epoch(report.rows, running.work.trial.recipe, self.settings.metric).get(report.epoch),
            epoch_s=epoch_s,
            wall_s=running.beat.wall_s + epoch_s,
            updated_at=time.time(),
        )
        running.saved_stage, running.stage_error = running.handover.save(
            report.epoch, running.beat.wall_s, over=report.done
        )
        if report.done:
            return self._finish(running)
        stop = self._should_stop()
        if stop or time.monotonic() - running.saved_at >= self._save_every_s(running):
            self._save(running)
        elif time.monotonic() - running.beat_at >= HEARTBEAT_EVERY_S:
            self._write_beat(running)
        event = running.event("interrupted" if stop else "epoch")
        if stop:
            self.drop()
        return event

    def _flag_is_there(self) -> bool:
        try:
            return self._flag is not None and self._flag.exists()
        except OSError:  # checked again after the next epoch
            return False

    def _is_pruned(self, running: RunningTrial) -> bool:
        """Whether the driver has decided that the trial ends at this epoch."""
        if not self.settings.prune or running.beat.epoch == 0:
            return False
        last = retry_storage(lambda: ends_after(self._results, running.work.trial.trial_id))
        return last is not None and running.beat.epoch >= last

    def _save_every_s(self, running: RunningTrial) -> float:
        """Seconds between two rolling checkpoints; 0 for a checkpoint after each epoch."""
        asked = self.settings.checkpoint_every_s
        return asked and max(asked, min(running.save_s / SAVE_SHARE, MOST_SECONDS_UNSAVED))

    def _check_fence(self) -> None:
        check_fence(self._results, self.settings.fence, self.settings.run)

    def _save(self, running: RunningTrial) -> None:
        self._check_fence()
        began = time.monotonic()
        retry_storage(lambda: running.folder.save(running.runner.save))
        running.saved_at, running.saved = time.monotonic(), running.beat.epoch
        running.save_s = running.saved_at - began
        wall_s = running.beat.wall_s + running.save_s
        running.beat = replace(running.beat, wall_s=wall_s, saved_wall_s=wall_s)
        self._write_beat(running)

    def _write_beat(self, running: RunningTrial) -> None:
        if self.settings.run:  # other runs may have claimed the trials of a suspended joined run
            self._check_fence()
        with contextlib.suppress(OSError):  # the next heartbeat replaces it; only essential writes are retried
            running.beat.write(self._results)
        running.beat_at = time.monotonic()

    def _finish(self, running: RunningTrial, stop_reason: str | None = None) -> TrialEvent:
        trial = running.work.trial
        began = time.monotonic()
        outcome = running.runner.outcome()
        stop_reason = stop_reason or outcome.stop_reason
        self._check_fence()
        keep_weights = self.settings.keep_weights and trial.phase == "final"  # weights of a search are not used
        if keep_weights:
            retry_storage(lambda: running.folder.save(running.runner.save))  # moves the best weights into place
        wall_s = running.beat.wall_s + time.monotonic() - began
        best = metric_by_epoch(outcome.rows, trial.recipe, self.settings.metric).get(outcome.best_epoch)
        running.beat = replace(running.beat, metric=best, epoch=outcome.epochs, wall_s=wall_s)
        weights = running.folder.weights_digest() if keep_weights else None
        if running.work.evaluation is not None:
            weights = running.work.evaluation.weights_digest
        write_trial(
            self._results,
            trial_columns(trial)
            | finished_columns(outcome, stop_reason)
            | run_columns(running.beat)
            | {"weights_digest": weights},
            epochs=epoch_columns(outcome.rows),
            predictions=() if stop_reason == PRUNED else prediction_blocks(outcome.predictions, trial.phase),
        )
        with contextlib.suppress(OSError):  # the trial has finished, even if files remain
            retry_storage(lambda: running.folder.finish(keep_weights=keep_weights))
            retry_storage(lambda: Heartbeat.remove(self._results, trial.trial_id))
            if self.settings.prune:
                retry_storage(lambda: forget(self._results, trial.trial_id))
        event = replace(running.event("finished"), stop_reason=stop_reason, best_epoch=outcome.best_epoch)
        self.drop()
        return event

    def _interrupted(self, work: Work) -> TrialEvent:
        """Releases the trial without a record; another attempt resumes it."""
        self.drop()
        return TrialEvent(kind="interrupted", trial_id=work.trial.trial_id, epochs=work.trial.recipe.epochs)

    def _fail(self, work: Work, failure: Failure) -> TrialEvent:
        running = self._running
        beat = first_beat(work, self.settings.device, self.settings.threads) if running is None else running.beat
        message = failure.message
        try:
            rows = epoch_columns(running.rows) if running is not None else ()
            # Do not wait again for storage that rejected a write: without a record the trial is rerun anyway
            pauses_s = () if failure.kind == "storage" else PAUSES_S
            self._check_fence()
            record_failure(self._results, work, failure, beat, rows=rows, pauses_s=pauses_s)
        except FencedError:
            return self._interrupted(work)
        except Exception as error:  # the trial has no record and is rerun
            message += f" (and its record could not be written: {error})"
        try:
            self.drop()
        except Exception as error:  # an error in `close` must not stop the worker
            message += f" (and closing it raised {type(error).__name__}: {error})"
        return failed_event(beat, failure, message)
