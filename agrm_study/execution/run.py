"""How does a study run? Data are prepared, the plan is compared with the ledger, and what is missing is executed."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agrm_study.execution.events import TrialEvent
from agrm_study.execution.executor import ExecutionLost, Executor
from agrm_study.execution.failures import DETERMINISTIC, STORAGE_ERRORS
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.lock import results_lock
from agrm_study.execution.node_store import local_folder
from agrm_study.execution.prepare import Prepared, Stage, prepare
from agrm_study.execution.progress.state import StudyProgress, shown_metric_name
from agrm_study.execution.progress.view import NoView, View
from agrm_study.execution.provenance import provenance
from agrm_study.execution.ray_session import require_local_gpus
from agrm_study.execution.search_phase import SearchPhase, final_trials, open_search, promote
from agrm_study.execution.source import HOLD_AFTER, WorkSource
from agrm_study.execution.summary import RunSummary, summarise
from agrm_study.execution.work import AGRM_RUNNER, Work, WorkerSettings
from agrm_study.plan.expand import expand
from agrm_study.plan.plan import Plan, write_cells
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.compaction import compact
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.writer import write_subjects
from agrm_study.study.errors import InputError
from agrm_study.study.resolved import write_resolved
from agrm_study.study.study import Study

MOST_CELLS_SHOWN: Final = 400
"""Cells up to which the metrics of trials that finished before are read for the picture."""
COMPACT_FROM: Final = 1024
"""Loose records from which a run begins by merging them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a study is run; nothing here can change an outcome.

    Attributes:
        results: Results folder, a local path or a URI.
        slots: Trials at once; ``None`` for as many as fit.
        address: A Ray cluster; ``None`` starts a Ray on this machine.
        retry_failed: Also run what failed for a reason that comes out the same again (bug, nan_loss, data). Other
            failures are run again in any case.
        executor: ``ray``, or ``inline`` for one trial after the other in this process.
        retries: How often a trial whose worker died goes on from its checkpoint within this run.
        checkpoint_every_s: Seconds between two rolling checkpoints of a trial, at least.
        keep_weights: Keep the best weights of finished trials.
        runner: ``module:Class`` of what runs a trial.
        workers: Processes that prepare data; all processors by default.
    """

    results: str | Path
    slots: int | None = None
    address: str | None = None
    retry_failed: bool = False
    executor: Literal["ray", "inline"] = "ray"
    retries: int = 3
    checkpoint_every_s: float = 20.0
    keep_weights: bool = True
    runner: str = AGRM_RUNNER
    workers: int | None = None


def run_study(study: Study, options: RunOptions, *, view: View | None = None) -> RunSummary:
    """Runs what a study is missing; safe to repeat at any time.

    Raises:
        InputError: Anything wrong with the data, another run that holds the results folder, or storage that takes
            nothing (full, read-only).
    """
    if options.executor == "ray" and options.address is None:
        require_local_gpus(study.resources.gpu)
    results = Location.of(options.results)
    try:
        with results_lock(results, study.name), Interrupt() as interrupt, view or NoView() as shown:
            return _Run(study, options, results, interrupt, shown).run()
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        raise InputError(
            "the storage must take what a study writes",
            where=error.filename or str(options.results),
            given=error.strerror,
            hint="What had finished is kept; the same command goes on when there is room and permission.",
        ) from None


class _Run:
    """One invocation."""

    def __init__(self, study: Study, options: RunOptions, results: Location, interrupt: Interrupt, view: View) -> None:
        self._study, self._options, self._results = study, options, results
        self._interrupt, self._view = interrupt, view
        self._began = time.monotonic()
        self._messages: list[str] = []
        self._told_of_stop = False
        self._refused: set[str] = set()  # trials whose results the storage did not take

    def run(self) -> RunSummary:
        try:
            prepared = prepare(
                self._study, self._options.results, build=True, on_stage=self._stage, workers=self._options.workers
            )
            plan = expand(self._study, prepared.fingerprints)
        except KeyboardInterrupt:
            return self._stopped_early()
        self._write_study(self._study, prepared, plan)
        if self._study.search is None:
            return self._final(self._study, prepared, plan)
        search = open_search(self._study, prepared, self._results, retry_failed=self._options.retry_failed)
        interrupted = self._run_search(search)
        if interrupted or not search.source.complete:
            return self._summary([search.progress], search.before, interrupted, to_come=final_trials(self._study))
        study = promote(self._study, search)
        if self._study.search.promote and len(study.arms) == len(self._study.arms):
            self._say("No search trial came to its end with a defined metric: there is nothing to promote.")
            return self._summary([search.progress], search.before, False, to_come=final_trials(self._study))
        plan = expand(study, prepared.fingerprints)
        self._write_study(study, prepared, plan)
        search.source.was_promoted()
        return self._final(study, prepared, plan, search)

    def _run_search(self, search: SearchPhase) -> bool:
        """Runs what the search is missing; whether that was interrupted."""
        self._view.begin(search.progress)
        interrupted = False
        if not search.source.exhausted:
            interrupted = self._execute(search.source, search.progress, prune=search.prunes)
        search.close()
        if search.source.why_stopped:
            self._say(f"The search ends here: {search.source.why_stopped}.")
        return interrupted

    def _final(self, study: Study, prepared: Prepared, plan: Plan, search: SearchPhase | None = None) -> RunSummary:
        """Runs the trials that are reported."""
        states = self._ledger_states()
        known = {trial.trial_id: states[trial.trial_id] for trial in plan.trials if trial.trial_id in states}
        progress = StudyProgress.of(study, plan, known, metrics=self._metrics(plan, known))
        before = progress.counts().finished
        works = self._works(plan, prepared, known)
        progress.reopen(work.trial.trial_id for work in works)
        self._view.begin(progress)
        if works and self._interrupt.requested:  # at the search's last epoch
            interrupted = True
        else:
            interrupted = self._execute(WorkSource(works), progress) if works else False
        if search is None:
            return self._summary([progress], before, interrupted)
        return self._summary([search.progress, progress], search.before + before, interrupted)

    def _summary(
        self, parts: Sequence[StudyProgress], before: int, interrupted: bool, *, to_come: int = 0
    ) -> RunSummary:
        return summarise(
            parts,
            results=str(self._options.results),
            before=before,
            interrupted=interrupted,
            wall_s=time.monotonic() - self._began,
            messages=self._messages,
            to_come=to_come,
        )

    def _execute(self, source: WorkSource, progress: StudyProgress, *, prune: bool = False) -> bool:
        """Runs what the source hands out; whether that was interrupted."""
        executor, device = self._executor()
        settings = WorkerSettings(
            results=str(self._options.results) if not self._results.is_local else self._results.path,
            runner=self._options.runner,
            device=device,
            threads=self._study.resources.cpu,
            metric=progress.metric,
            checkpoint_every_s=self._options.checkpoint_every_s,
            keep_weights=self._options.keep_weights,
            local_store=local_folder(),
            prune=prune,
        )

        def on_event(event: TrialEvent) -> None:
            progress.slots = executor.slots
            self._view.event(event, progress.apply(event))
            held_arm = source.observe(event)
            if held_arm is not None:
                self._hold(held_arm, source, progress)
            if event.kind == "failed" and event.failure == "storage":
                self._storage_failed(event, source)

        try:
            executor.run(source, settings, on_event=on_event, interrupt=self._interrupt, on_tick=self._tick)
        except ExecutionLost as lost:
            self._say(f"{lost}. What had finished is kept; the same command goes on from the last checkpoints.")
            return False
        except KeyboardInterrupt:
            self._say("Stopped at once; trials go on from their last checkpoint in the next run.")
            return True
        unfinished = progress.counts().waiting + progress.counts().running
        if not (self._interrupt.requested and unfinished):
            return False
        saved = [trial for trial in progress.trials.values() if trial.state == "waiting" and trial.epoch]
        if saved:
            self._say(f"{len(saved)} running trials were saved and go on from there in the next run.")
        return True

    def _hold(self, arm: str, source: WorkSource, progress: StudyProgress) -> None:
        held = source.drain_held()
        for work in held:
            progress.apply(TrialEvent(kind="held", trial_id=work.trial.trial_id))
        if held:
            self._say(
                f"{arm}: three trials failed in the same way; its {len(held)} other trials are not started. "
                "Mend the cause and run again."
            )

    def _storage_failed(self, event: TrialEvent, source: WorkSource) -> None:
        """On a full disk every trial would train and fail: after some nothing more is started."""
        self._refused.add(event.trial_id)
        if len(self._refused) == HOLD_AFTER:
            source.stop()
            self._say(
                f"{HOLD_AFTER} trials could not write their results; no other is started. "
                "Make room (or writable), and the same command goes on."
            )

    def _executor(self) -> tuple[Executor, str]:
        """The executor, and the device of a trial."""
        if self._options.executor == "inline":
            from agrm_study.execution.inline import InlineExecutor

            return InlineExecutor(), "cuda" if self._study.resources.gpu not in (0, "auto") else "cpu"
        self._view.stage(Stage("Starting Ray and its workers", 0, 0))
        from agrm_study.execution.ray_session import Resources, gpu_share, local_slots
        from agrm_study.execution.ray_tune import RayTuneExecutor

        gpu, note = gpu_share(self._study.resources.gpu, self._options.address)
        if note:
            self._say(note)
        resources = Resources(cpu=self._study.resources.cpu, gpu=gpu, accelerator=self._study.resources.accelerator)
        slots = self._options.slots or (local_slots(resources) if self._options.address is None else None)
        executor = RayTuneExecutor(
            resources=resources, slots=slots, address=self._options.address, retries=self._options.retries
        )
        return executor, "cuda" if gpu else "cpu"

    def _works(self, plan: Plan, prepared: Prepared, states: Mapping[str, TrialState]) -> list[Work]:
        """The trials to run: all without a record, and the failed ones that are worth another attempt."""
        finished = {trial_id for trial_id, state in states.items() if state.status == "finished"}
        works, skipped = [], 0
        for trial in plan.missing(finished):
            state = states.get(trial.trial_id)
            if state is not None and state.failure in DETERMINISTIC and not self._options.retry_failed:
                skipped += 1
                continue
            works.append(_work(trial, prepared, state.attempt if state is not None else 0))
        if skipped:
            self._say(f"{skipped} failed trials would fail again and are left alone; --retry-failed runs them.")
        return works

    def _ledger_states(self) -> dict[str, TrialState]:
        ledger = Ledger(self._results)
        if len(ledger.loose_files("trials")) >= COMPACT_FROM:
            compact(self._results)
        states = ledger.states()
        for problem in ledger.problems:
            self._say(f"{problem.path} cannot be read and counts as not done: {problem.reason}")
        return states

    def _metrics(self, plan: Plan, states: Mapping[str, TrialState]) -> dict[str, float]:
        """Validation metric at the best epoch of the trials that have finished, when there are few enough to show."""
        finished = [trial_id for trial_id, state in states.items() if state.status == "finished"]
        if not finished or len(plan.cells) > MOST_CELLS_SHOWN:
            return {}
        ledger = Ledger(self._results)
        epochs = ledger.epochs(trial_ids=finished)
        metric = shown_metric_name(self._study)
        best = ledger.trials().set_index("trial_id")["best_epoch"]
        rows = epochs[(epochs["split"] == "val") & epochs[metric].notna()]
        rows = rows[rows["epoch"] == rows["trial_id"].map(best)]
        # "teacher" sorts after "student": where both are recorded the teacher's row is the later one
        return {str(k): float(v) for k, v in rows.groupby("trial_id")[metric].last().items()}

    def _write_study(self, study: Study, prepared: Prepared, plan: Plan) -> None:
        """study.yaml, plan.json, provenance.json and the `subjects` records."""
        with tempfile.TemporaryDirectory() as folder:
            write_resolved(study, Path(folder) / "study.yaml")
            write_cells(plan, Path(folder) / "plan.json")
            text = json.dumps(provenance(prepared.provenance()), indent=1, ensure_ascii=False) + "\n"
            (Path(folder) / "provenance.json").write_text(text, encoding="utf-8")
            for file in sorted(Path(folder).iterdir()):
                (self._results / file.name).write_atomic(file.read_bytes())
        for fingerprint, rows in prepared.subjects().items():
            if not (self._results / "records" / "subjects" / f"{fingerprint}.parquet").exists():
                write_subjects(self._results, fingerprint, rows)

    def _stage(self, stage: Stage) -> None:
        self._view.stage(stage)
        if self._interrupt.requested:
            raise KeyboardInterrupt

    def _tick(self) -> None:
        if self._interrupt.requested and not self._told_of_stop:
            self._told_of_stop = True
            self._view.message(
                f"{self._interrupt.reason}: running trials stop after this epoch and are saved. "
                "Once more stops them at once."
            )
        self._view.tick()

    def _stopped_early(self) -> RunSummary:
        self._say("Stopped while the data were prepared; what is done is kept.")
        return RunSummary(
            study=self._study.name,
            results=str(self._options.results),
            total=0,
            before=0,
            finished=0,
            failed=(),
            held=0,
            unfinished=0,
            interrupted=True,
            wall_s=time.monotonic() - self._began,
            messages=tuple(self._messages),
        )

    def _say(self, text: str) -> None:
        self._messages.append(text)
        self._view.message(text)


def _work(trial: TrialSpec, prepared: Prepared, attempts: int) -> Work:
    return Work(
        trial=trial,
        manifest=prepared.manifest_path(trial.recipe),
        store=prepared.store_path(trial.recipe),
        attempts=attempts,
    )
