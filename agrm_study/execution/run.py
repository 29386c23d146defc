"""Runs a study: prepares the data, compares the plan with the ledger and executes the missing trials."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from agrm_study.execution.backend import Backend
from agrm_study.execution.clean import drop_unreported_weights
from agrm_study.execution.data.prepare import Step, prepare
from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.dispatch.joined_source import JoinedSource
from agrm_study.execution.dispatch.known_trials import healing, read_known
from agrm_study.execution.dispatch.race_source import open_race
from agrm_study.execution.dispatch.search_phase import choose, final_trials, open_searches
from agrm_study.execution.dispatch.shared_stages import SharedStages
from agrm_study.execution.dispatch.to_run import finished_metrics, read_and_take_over, trials_to_run, work_on
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.invocation import Invocation
from agrm_study.execution.options import RunOptions
from agrm_study.execution.phases import Phases
from agrm_study.execution.progress.state import StudyProgress, shown_metric_name
from agrm_study.execution.progress.view import View
from agrm_study.execution.results_folder.leases import Leases, wait_to_lead
from agrm_study.execution.results_folder.lock import joined, results_lock
from agrm_study.execution.results_folder.report_claim import ReportClaim
from agrm_study.execution.results_folder.study_files import write_study
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.failures import refused_by_storage
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.repeated_failures import SEARCH
from agrm_study.execution.trial.versions import own_versions
from agrm_study.execution.trial.work import Work
from agrm_study.plan.averages import arm_steps, memory_notes
from agrm_study.plan.expand import expand
from agrm_study.plan.plan import Plan
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.study.errors import InputError
from agrm_study.study.object_store import store_error_text
from agrm_study.study.study import Study

CLAIM: Final = Step("Checking for another run in this results folder", 0, 0)


def run_study(
    study: Study, options: RunOptions, *, view: View | None = None, interrupt: Interrupt | None = None
) -> RunSummary:
    """Runs the missing trials of a study; safe to repeat at any time.

    Args:
        interrupt: Used to request that the run stop. By default only a `KeyboardInterrupt` stops it, and no signal
            handler is installed.

    Raises:
        InputError: If the data are invalid, another run has locked the results folder, or storage rejects writes (full,
            read-only). Raised only before the first trial has run; later errors are reported in the summary's `error`.
    """
    backend, results = Backend.of(study, options), Location.of(options.results)
    interrupt = interrupt or Interrupt()
    try:
        with view or View() as shown:
            invocation = Invocation(study=study, backend=backend, results=results, interrupt=interrupt, view=shown)
            if options.join:
                return _run_joined(invocation)
            with results_lock(results, study.name, partial(invocation.step, CLAIM)):
                return _Run(replace(invocation, began=time.monotonic())).run()
    except OSError as error:
        if not refused_by_storage(error):
            raise
        raise InputError(
            "the storage must accept the files that a study writes",
            where=error.filename or str(options.results),
            given=store_error_text(error) or error.strerror or str(error),
            hint="Finished trials are kept. Free space or fix the permissions, then rerun the command.",
        ) from None


def _run_joined(invocation: Invocation) -> RunSummary:
    """Runs this run's share of the trials of a study that several runs have joined."""
    study, results = invocation.study, invocation.results
    code = " ".join(f"{name} {version}" for name, version in sorted(own_versions().items()))
    with joined(results, study.name, code, partial(invocation.step, CLAIM)) as leases:
        report, began = ReportClaim(leases, results), time.monotonic()
        while True:
            summary = _Run(replace(invocation, leases=leases, began=began, messages=[])).run()
            if not leases.lost or invocation.interrupt.requested:
                break
            invocation.note("Other runs considered this run dead because it did not renew its lease. It joins again.")
            leases.join()
        leases.leave()
        reports = report.is_ours(complete=summary.exit_code == 0 and not summary.elsewhere)
        if reports and study.keep_weights == "reported":  # only one of several runs may remove files
            drop_unreported_weights(results)
        return replace(summary, reports=reports)


class _Run:
    """State of one run of a study."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._study, self._results, self._leases = invocation.study, invocation.results, invocation.leases
        self._options, self._backend = invocation.backend.options, invocation.backend
        self._interrupt, self._view = invocation.interrupt, invocation.view
        self._note, self._step = invocation.note, invocation.step
        self._elsewhere = 0  # trials that other joined runs were executing at the end
        self._phases = Phases(invocation)

    def run(self) -> RunSummary:
        try:
            return self._run()
        except (InputError, OSError) as error:
            if not self._phases.entered:
                raise
            text = str(error) if isinstance(error, InputError) else f"the results cannot be written or read: {error}"
            pending = final_trials(self._study) if self._phases.entered[-1].to_draw is not None else 0
            return replace(self._summary(self._phases.entered, False, pending=pending), error=text)

    def _run(self) -> RunSummary:
        asking = Step("Checking the nodes of the cluster", 0, 0)
        if self._options.address is not None:
            self._view.step(asking)
        try:
            self._backend.check(self._results, self._note, lambda: self._step(asking))
            if self._backend.note:
                self._note(self._backend.note)
            where, workers = self._options.results, self._options.workers
            on_step, on_note = self._step, self._note
            prepared = prepare(self._study, where, build=True, on_step=on_step, on_note=on_note, workers=workers)
            plan = expand(self._study, prepared.fingerprints)
            for note in (*prepared.notes, *memory_notes(arm_steps(self._study, prepared.clip_counts))):
                self._note(note)
        except KeyboardInterrupt:
            self._note("Stopped before the first trial; finished work is kept.")
            return self._summary([], True)
        write_study(self._results, self._study, prepared, plan)
        search = self._study.search or self._study.tune
        if search is None:
            return self._final(self._study, prepared, plan)
        if self._leases is not None and not self._leads_search(self._leases):
            return self._summary([], self._interrupt.requested, pending=final_trials(self._study))
        known, retry_failed = read_known(self._results), self._options.retry_failed
        accelerators = self._backend.accelerators
        source, progress = open_searches(
            self._study, prepared, self._results, known, retry_failed=retry_failed, accelerators=accelerators
        )
        for note in known.faults(source.drawn):
            self._note(note)
        self._view.begin(progress)
        interrupted = self._phases.execute(source, progress, prepared.data(), prune=search.pruner.name != "none")
        for reason in source.reasons:
            self._note(reason)
        chosen = None if interrupted else choose(self._study, source)
        if chosen is None:
            return self._summary([progress], interrupted, pending=final_trials(self._study))
        for note in chosen.nothing:
            self._note(note)
        plan = expand(chosen.study, prepared.fingerprints)
        write_study(self._results, chosen.study, prepared, plan)
        source.were_chosen()
        if self._leases is not None:
            self._leases.release(SEARCH)
        return self._final(
            chosen.study, prepared, plan, [progress], nothing_promoted=bool(chosen.nothing), pending=chosen.untuned
        )

    def _leads_search(self, leases: Leases) -> bool:
        """Waits until this run leads the search, which may already be complete; returns False if interrupted."""
        waiting = Step("Waiting for the search of another run", 0, 0)

        def on_wait() -> None:
            self._phases.budget.enforce(self._interrupt)
            self._step(waiting)

        try:
            return wait_to_lead(leases, SEARCH, self._note, on_wait)
        except KeyboardInterrupt:
            return False

    def _final(
        self,
        study: Study,
        prepared: Prepared,
        plan: Plan,
        searched: Sequence[StudyProgress] = (),
        *,
        nothing_promoted: bool = False,
        pending: int = 0,
    ) -> RunSummary:
        """Runs the final phase (the reported trials), after the searches if there are any.

        Args:
            searched: Progress of the searches.
            nothing_promoted: Whether a search has ended without a point to choose.
            pending: Number of trials that are still unknown because the searches that determine them are held back.
        """
        ledger = read_and_take_over(self._results, plan, self._note, merge=self._leases is None)
        known = {t.trial_id: ledger.states[t.trial_id] for t in plan.trials if t.trial_id in ledger.states}
        metrics = finished_metrics(self._results, plan, known, shown_metric_name(study))
        progress = StudyProgress.of(study, plan.cells, known, metrics=metrics)
        retry_failed, started = self._options.retry_failed, Heartbeat.started(self._results)
        to_run = trials_to_run(plan, known, started=started, retry_failed=retry_failed)
        healed = healing(self._results, ledger, [trial.trial_id for trial in to_run.trials])
        for note in [*healed.notes, *to_run.notes]:
            self._note(note)
        progress.hold(trial.trial_id for trial in to_run.held)
        works = self._backend.placed([work_on(t, prepared, ledger, healed.predicted) for t in to_run.trials])
        shared = SharedStages(self._results, works, study.sharing, joined=self._leases is not None)
        progress.reopen(work.trial.trial_id for work in works)
        self._view.begin(progress)
        if works and self._interrupt.requested:  # interrupted during the last epoch of the search
            interrupted = True
        else:
            source = self._source(study, plan, works, shared, progress)
            source.count_failures(to_run.repeated)
            if self._leases is not None:
                source = JoinedSource(
                    source, self._leases, self._results, metric=progress.metric, stage_epoch=shared.epoch
                )
            interrupted = self._phases.execute(source, progress, prepared.data())
            if isinstance(source, JoinedSource):
                progress.catch_up(Ledger(self._results).states())
                waiting = {trial_id for trial_id, trial in progress.trials.items() if trial.state == "waiting"}
                self._elsewhere = 0 if interrupted else len(waiting & source.elsewhere)
        if study.keep_weights == "reported" and self._leases is None:
            drop_unreported_weights(self._results)
        return self._summary([*searched, progress], interrupted, pending=pending, nothing_promoted=nothing_promoted)

    def _summary(
        self, parts: Sequence[StudyProgress], interrupted: bool, *, pending: int = 0, nothing_promoted: bool = False
    ) -> RunSummary:
        """The summary of the phases so far; `pending` trials belong to a phase that was not reached."""
        summary = RunSummary.of(
            self._study.name,
            str(self._options.results),
            parts,
            pending=pending,
            interrupted=interrupted and not self._phases.budget.ended,
            wall_s=time.monotonic() - self._invocation.began,
            nothing_promoted=nothing_promoted,
            limit=self._phases.budget.limit,
            used=self._phases.meter.used,
            elsewhere=self._elsewhere,
        )
        if summary.left:
            self._note(summary.left)
        return replace(summary, messages=tuple(self._invocation.messages))

    def _source(
        self, study: Study, plan: Plan, works: Sequence[Work], shared: SharedStages, progress: StudyProgress
    ) -> WorkSource:
        """The source of the reported trials."""
        if study.race is not None:
            return open_race(study, plan, works, self._results, progress, on_note=self._note, make_source=shared.source)
        RaceLog.forget(self._results)
        return shared.source(works)
