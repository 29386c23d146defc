"""One evaluation of finished trials on a set: prepares the data and runs the evaluations that have no record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agrm_study.execution.backend import Backend
from agrm_study.execution.data.node_store import local_folder
from agrm_study.execution.data.prepare import Step
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.evaluation.finished import FinishedNetworks, finished_networks
from agrm_study.execution.evaluation.pending import Pending, pending
from agrm_study.execution.evaluation.sets import CorruptedCopies, DataOfSet, ExternalSet
from agrm_study.execution.event_handler import HopelessRun
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.invocation import Invocation
from agrm_study.execution.options import RunOptions
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.progress.wording import duration
from agrm_study.execution.results_folder.lock import results_lock
from agrm_study.execution.summary import FailedTrial
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.versions import own_versions
from agrm_study.execution.trial.work import EVALUATION_RUNNER, Work, WorkerSettings
from agrm_study.records.evaluations import external_folder, robustness_folder
from agrm_study.records.location import Location
from agrm_study.study.tasks import task_words


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSummary:
    """Outcome of an evaluation.

    Attributes:
        total: Finished trials of the selected arms to which the set applies, with or without weights.
        before: Trials that were already evaluated.
        without_weights: Trials without weights and the reasons, one sentence per trial.
        unfinished: Planned trials of the selected arms that have not finished training.
        error: Reason for an early end; empty for a normal end.
    """

    name: str
    total: int
    before: int
    evaluated: int
    failed: tuple[FailedTrial, ...]
    without_weights: tuple[str, ...]
    unfinished: int
    interrupted: bool
    wall_s: float
    error: str = ""

    @property
    def exit_code(self) -> int:
        """0 all evaluated, 1 incomplete, 130 interrupted."""
        if self.interrupted:
            return 130
        return 0 if self.before + self.evaluated == self.total and not self.error else 1

    @property
    def sentence(self) -> str:
        """One-line description of the outcome."""
        end = ", interrupted" if self.interrupted else ""
        text = (
            f"{self.name}: {self.before + self.evaluated} of {self.total} finished trials evaluated"
            f" ({self.evaluated} now, {duration(self.wall_s)}{end})"
        )
        return text + (f", {len(self.failed)} failed" if self.failed else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"exit_code": self.exit_code}


class EvaluationSource(WorkSource):
    """Trials to evaluate; a failure never holds back other trials."""

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        self._order.observe(event)
        return ()


def evaluate(
    results: str | Path,
    wanted: ExternalSet | CorruptedCopies,
    options: RunOptions,
    *,
    arms: Sequence[str] = (),
    again: bool = False,
    view: View | None = None,
    interrupt: Interrupt | None = None,
) -> EvaluationSummary:
    """Evaluate finished trials of a study on a set; trials that are already evaluated are skipped.

    Args:
        results: Results folder of the study.
        options: Options for running trials; their results folder is ignored.
        arms: Arms to evaluate; all if empty.
        again: Repeat evaluations that are already recorded.

    Raises:
        InputError: If the results, the set or the options are invalid; nothing was evaluated.
        OSError: If the storage rejects a request.
    """
    study_results, interrupt = Location.of(results), interrupt or Interrupt()
    found = finished_networks(study_results, arms)
    folder = (
        external_folder(study_results, wanted.name)
        if isinstance(wanted, ExternalSet)
        else robustness_folder(study_results)
    )
    backend = Backend.of(found.study, replace(options, results=folder.address))
    with view or View() as shown, results_lock(folder, f"evaluation of {found.study.name}"):
        invocation = Invocation(study=found.study, backend=backend, results=folder, interrupt=interrupt, view=shown)
        return _Evaluation(invocation, study_results, found).run(wanted, again)


class _Evaluation:
    """State of one evaluation; the results of the invocation are the folder of the set."""

    def __init__(self, invocation: Invocation, study_results: Location, found: FinishedNetworks) -> None:
        self._invocation, self._study_results, self._found = invocation, study_results, found
        self._folder, self._backend = invocation.results, invocation.backend
        self._interrupt, self._view = invocation.interrupt, invocation.view
        self._note, self._step = invocation.note, invocation.step
        self._stop_shown = False

    def run(self, wanted: ExternalSet | CorruptedCopies, again: bool) -> EvaluationSummary:
        asking = Step("Checking the nodes of the cluster", 0, 0)
        self._backend.check(self._folder, self._note, lambda: self._step(asking))
        data = wanted.prepare(
            self._study_results,
            self._found,
            on_step=self._step,
            on_note=self._note,
            workers=self._backend.options.workers,
        )
        lacking = pending(self._study_results, self._folder, data, again=again)
        for note in lacking.notes:
            self._note(note)
        data.about.write(self._folder)
        data.write(self._folder)
        progress = self._progress(data, lacking)
        self._view.begin(progress)
        error, interrupted = "", False
        if lacking.works:
            error, interrupted = self._execute(data, lacking, progress)
        return self._summary(data, progress, error, interrupted)

    def _progress(self, data: DataOfSet, lacking: Pending) -> StudyProgress:
        study, usable = self._found.study, {network.trial_id for network in data.networks}
        steps = {work.trial.trial_id: work.steps for work in lacking.works}
        cells = [cell for cell in self._found.cells if cell.trial_id in usable]
        progress = StudyProgress.of(study, cells, {})
        for trial_id, trial in progress.trials.items():
            trial.epochs = steps.get(trial_id, 1)
            trial.state = "waiting" if trial_id in steps else "finished"
        tasks = tuple(dict.fromkeys(cell.task for cell in cells))
        return replace(progress, name=f"{study.name} on {data.about.name}", tasks=tasks)

    def _execute(self, data: DataOfSet, lacking: Pending, progress: StudyProgress) -> tuple[str, bool]:
        """Run the evaluations; returns the reason for an early end, and whether they were interrupted."""
        source, hopeless = EvaluationSource(lacking.works), HopelessRun(self._note)
        if self._backend.options.executor == "ray":
            self._view.step(Step("Starting Ray and its workers", 0, 0))
        executor = self._backend.executor(data.prepared.data(), self._note)
        settings = WorkerSettings(
            results=self._folder.address,
            runner=EVALUATION_RUNNER,
            device=self._backend.device,
            threads=self._found.study.resources.cpu,
            metric=progress.metric,
            keep_weights=False,
            local_store=local_folder(),
            versions=own_versions(),
        )

        def on_event(event: TrialEvent) -> None:
            if event.kind == "finished":
                event = replace(event, message=f"evaluated in {duration(event.wall_s)}")
            progress.slots = executor.slots
            self._view.event(event, progress.apply(event))
            source.observe(event)
            if event.kind == "failed":
                hopeless.observe(event, source)

        try:
            executor.run(source, settings, on_event=on_event, interrupt=self._interrupt, on_tick=self._on_wait)
        except ExecutionLost as lost:
            return str(lost), False
        except KeyboardInterrupt:
            return "", True
        left = progress.counts().left
        return "", bool(self._interrupt.requested and left)

    def _on_wait(self) -> None:
        if self._interrupt.requested and not self._stop_shown:
            self._stop_shown = True
            self._note(f"{self._interrupt.reason}: running evaluations stop after the current part and are saved.")
        self._view.refresh()

    def _summary(self, data: DataOfSet, progress: StudyProgress, error: str, interrupted: bool) -> EvaluationSummary:
        trials = progress.trials.values()
        finished = [trial.in_this_run for trial in trials if trial.state == "finished"]
        tasks = {network.recipe.task.name for network in data.networks}
        without = [(cell, why) for cell, why in self._found.without_weights if cell.task in tasks]
        return EvaluationSummary(
            name=data.about.name,
            total=len(progress.trials) + len(without),
            before=len(finished) - sum(finished),
            evaluated=sum(finished),
            failed=tuple(FailedTrial.of(trial) for trial in trials if trial.state == "failed"),
            without_weights=tuple(
                f"{cell.arm}, {task_words(cell.task)}, seed {cell.seed}: {why}" for cell, why in without
            ),
            unfinished=self._found.unfinished,
            interrupted=interrupted,
            wall_s=time.monotonic() - self._invocation.began,
            error=error,
        )
