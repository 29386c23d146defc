"""Execution of the phases of a run: its searches, then the reported trials."""

from __future__ import annotations

import gc
from collections.abc import Mapping

from agrm_study.execution.data.node_store import local_folder
from agrm_study.execution.data.prepare import Step, searched_recipes
from agrm_study.execution.dispatch.budget import Budget
from agrm_study.execution.dispatch.usage_meter import UsageMeter
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.executor import ExecutionLost, how_to_resume
from agrm_study.execution.event_handler import EventHandler
from agrm_study.execution.invocation import Invocation
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.results_folder.upkeep import Compacting
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.versions import own_versions
from agrm_study.execution.trial.work import OWN_RUNNER, WorkerSettings
from agrm_study.study.counted import counted


class Phases:
    """Runs the trials phase by phase, within the limits of the run.

    Attributes:
        meter: CPU and GPU time that the trials use.
        budget: Limits of the run.
        entered: Progress of the phases with events so far.
    """

    def __init__(self, invocation: Invocation) -> None:
        self._study, self._results, self._leases = invocation.study, invocation.results, invocation.leases
        self._backend, self._options = invocation.backend, invocation.backend.options
        self._interrupt, self._view = invocation.interrupt, invocation.view
        self._note, self._step = invocation.note, invocation.step
        self.meter = UsageMeter(self._results, self._study.resources)
        in_process = self._options.executor == "inline"
        self.budget = Budget.of(
            self._study, self._options.limits, self._results, self.meter, invocation.began, in_process=in_process
        )
        self._events = EventHandler(self._view, self.meter, self.budget, self._note)
        self._stop_shown = False
        self.entered: list[StudyProgress] = []

    def execute(
        self, source: WorkSource, progress: StudyProgress, data: Mapping[str, int], *, prune: bool = False
    ) -> bool:
        """Runs the source's trials, which read the given data (`Prepared.data`); returns whether it was interrupted."""
        if source.exhausted:
            return False
        try:
            if self._study.resources.gpu == "auto":
                self._measure_gpu_share()
        except KeyboardInterrupt:
            return True
        except ExecutionLost as lost:
            self._note(f"{lost}. {how_to_resume(self._results)}")
            return False
        if self.budget.reached():
            return True
        if self._options.executor == "ray":
            self._view.step(Step("Starting Ray and its workers", 0, 0))
        self.meter.gpu = self._backend.resources.gpu
        executor = self._backend.executor(data, self._note)
        settings = WorkerSettings(
            results=self._results.address,
            runner=OWN_RUNNER if self._study.base.own_trainer else self._options.runner,
            device=self._backend.device,
            threads=self._study.resources.cpu,
            metric=progress.metric,
            checkpoint_every_s=self._options.checkpoint_every_s,
            keep_weights=self._study.keep_weights != "none",
            local_store=local_folder(),
            prune=prune,
            versions=own_versions(),
            run=self._leases.run if self._leases is not None else "",
        )

        compacting = Compacting(self._results)

        def on_event(event: TrialEvent) -> None:
            if not self.entered or self.entered[-1] is not progress:
                self.entered.append(progress)
            progress.slots = executor.slots * source.runs
            self._events.handle(event, source, progress, compacting)

        def on_tick() -> None:
            for event in source.poll():
                on_event(event)
            if self._leases is not None and self._leases.lost and not source.stopped:
                source.stop()
            self._on_wait()

        gc.freeze()  # with 100,000 trials, each garbage collection would scan the plan for seconds
        try:
            affordable = self.budget.source(source)
            executor.run(affordable, settings, on_event=on_event, interrupt=self._interrupt, on_tick=on_tick)
        except ExecutionLost as lost:
            self._note(f"{lost}. {how_to_resume(self._results)}")
            return False
        except KeyboardInterrupt:
            self._note("Stopped immediately; the next run resumes trials from their last checkpoints.")
            return True
        finally:
            gc.unfreeze()
            compacting.close()
            self.meter.close()
            progress.used = self.meter.used
        unfinished = progress.counts().left
        if not (self._interrupt.requested and unfinished):
            return False
        if saved := sum(trial.state == "waiting" and trial.epoch > 0 for trial in progress.trials.values()):
            running = counted(saved, "running trial was saved", "running trials were saved")
            self._note(f"{running}; the next run resumes {'it' if saved == 1 else 'them'}.")
        return True

    def _measure_gpu_share(self) -> None:
        """Measures the GPU share of a trial."""
        study, known = self._study, self._backend.note
        recipes = [arm.recipe for arm in study.arms]
        if study.search is not None or study.tune is not None:
            recipes += [*searched_recipes(study), study.base]
        step = Step("Measuring a training step on a GPU", 0, 0)
        self._backend = self._backend.measured(recipes, self._results, lambda: self._step(step))
        if self._backend.note != known:
            self._note(self._backend.note)

    def _on_wait(self) -> None:
        self.meter.refresh()
        if self.entered:
            self.entered[-1].used = self.meter.used
        self.budget.enforce(self._interrupt)
        if self._interrupt.requested and not self._stop_shown:
            self._stop_shown = True
            more = "" if self.budget.limit else " A second interrupt stops them immediately."
            self._view.message(f"{self._interrupt.reason}: running trials stop after this epoch and are saved.{more}")
        self._view.refresh()
