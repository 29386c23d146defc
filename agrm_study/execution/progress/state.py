"""Progress of a study, read from its records and updated by events; the model behind the views."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from agrm_study.execution.progress.trial_progress import TrialProgress, time_left_s
from agrm_study.execution.results_folder.usage import Used
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.plan.plan import Cell
from agrm_study.records.reader import TrialState
from agrm_study.records.schemas import PRUNED
from agrm_study.records.validation_scores import column
from agrm_study.study.study import Study

SHOWN: Final = ("macro_f1", "accuracy", "balanced_accuracy")
"""Metrics that are available after every epoch."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Number of trials by state."""

    total: int
    finished: int
    running: int
    failed: int
    held: int
    waiting: int

    @property
    def left(self) -> int:
        """Number of remaining trials."""
        return self.running + self.waiting


@dataclass(slots=True)
class StudyProgress:
    """Progress of a study.

    Attributes:
        metric: Name of the validation metric shown.
        cells: Trial of each (task, arm, seed).
        slots: Number of concurrent trials, if known; 0 if no trial runs.
        to_draw: Maximum number of search trials that have not been handed out; None if there is no search.
        held_draws: The same number for searches held back because their trials keep failing in the same way.
        used: Resources used by all trials of the results folder, including failed attempts; ``None`` if not measured.
    """

    name: str
    question: str
    metric: str
    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: dict[tuple[str, str, int], str]
    trials: dict[str, TrialProgress]
    slots: int = 1
    to_draw: int | None = None
    maximize: bool = True
    held_draws: int = 0
    used: Used | None = None
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(
        cls,
        study: Study,
        cells: Sequence[Cell],
        states: Mapping[str, TrialState],
        *,
        metrics: Mapping[str, float] | None = None,
        to_draw: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> StudyProgress:
        """The progress of a study's reported trials, or (with `to_draw`) of its searches, with a cell per trial."""
        epochs = {arm.name: arm.recipe.epochs for arm in study.arms}
        trials: dict[str, TrialProgress] = {}
        for cell in cells:
            if cell.trial_id in trials:
                continue
            most = epochs.get(cell.arm, study.base.epochs)
            trial = TrialProgress(
                cell.trial_id, cell.arm, cell.task, cell.seed, most, fold=cell.fold, repeat=cell.repeat
            )
            trials[cell.trial_id] = trial
            known = states.get(cell.trial_id)
            if known is not None:
                trial.take(known)
                trial.metric = (metrics or {}).get(cell.trial_id)
        search = (study.search or study.tune) if to_draw is not None else None
        shown = cells if search is None else ()
        return cls(
            name=study.name,
            question=study.question,
            metric=shown_metric_name(study) if search is None else column(search.metric[0]),
            tasks=tuple(study.tasks),
            arms=tuple(dict.fromkeys(cell.arm for cell in shown)),
            seeds=tuple(dict.fromkeys(cell.seed for cell in shown)),
            cells={(cell.task, cell.arm, cell.seed): cell.trial_id for cell in shown},
            trials=trials,
            to_draw=to_draw,
            maximize=search is None or search.directions[0] == "maximize",
            clock=clock,
        )

    def best(self, most: int = 1) -> list[TrialProgress]:
        """The finished trials with the best metrics, best first."""
        done = [t for t in self.trials.values() if t.state == "finished" and t.metric is not None and not t.pruned]
        return sorted(done, key=lambda t: t.metric or 0.0, reverse=self.maximize)[:most]

    def reopen(self, trial_ids: Iterable[str]) -> None:
        """Marks trials as waiting; their earlier failures no longer count."""
        for trial_id in trial_ids:
            trial = self.trials[trial_id]
            trial.state, trial.failure, trial.error, trial.wall_s = "waiting", None, None, 0.0

    def hold(self, trial_ids: Iterable[str]) -> None:
        """Marks trials as held back because their arm keeps failing in the same way."""
        for trial_id in trial_ids:
            self.trials[trial_id].state = "held"

    def catch_up(self, states: Mapping[str, TrialState]) -> None:
        """Applies newer records that other joined runs have written."""
        for trial_id, trial in self.trials.items():
            known = states.get(trial_id)
            if trial.state in ("waiting", "held") and known is not None and known.attempt > trial.attempt:
                trial.take(known)

    def spare(self, cells: Collection[tuple[str, str, int]]) -> None:
        """Drops cells (arm, task, seed) that no longer need a trial; a trial that another cell also uses is kept."""
        for arm, task, seed in cells:
            self.cells.pop((task, arm, seed), None)
        wanted = set(self.cells.values())
        self.trials = {trial_id: trial for trial_id, trial in self.trials.items() if trial_id in wanted}

    def apply(self, event: TrialEvent) -> TrialProgress:
        """Updates the progress from an event; returns the trial of the event."""
        trial = self.trials[event.trial_id]
        now = trial.updated = self.clock()
        if event.kind == "started":
            trial.state, trial.started, trial.epoch, trial.metric = "running", now, 0, None
            trial.attempt = event.attempt
        elif event.kind == "preparing":
            trial.state = "running"
        elif event.kind == "epoch":
            trial.state = "running"
            trial.epoch, trial.metric, trial.epoch_s = event.epoch, event.metric, event.epoch_s
        elif event.kind in ("finished", "failed"):
            trial.state = "finished" if event.kind == "finished" else "failed"
            trial.in_this_run = not event.elsewhere
            trial.epoch, trial.metric = event.epoch, event.metric
            trial.failure, trial.error = event.failure, event.error
            trial.pruned = event.stop_reason == PRUNED
        elif event.kind in ("interrupted", "retried"):
            trial.state, trial.epoch = "waiting", event.epoch
        elif event.kind == "held":
            trial.state = "held"
        trial.note = event.note
        if event.wall_s:
            trial.wall_s = event.wall_s
        trial.inherited = max(trial.inherited, event.inherited)
        return trial

    @property
    def held_back(self) -> bool:
        """Whether a search is held back because its trials keep failing in the same way."""
        return self.held_draws > 0

    @property
    def inherited(self) -> int:
        """Number of epochs that this run's trials inherited from other trials instead of training them."""
        return sum(trial.inherited for trial in self.trials.values())

    def counts(self) -> Counts:
        """Number of trials by state."""
        found = dict.fromkeys(("waiting", "running", "finished", "failed", "held"), 0)
        found |= Counter(map(attrgetter("state"), self.trials.values()))
        to_draw = self.to_draw or 0
        found["waiting"] += to_draw
        found["held"] += self.held_draws
        return Counts(total=len(self.trials) + to_draw + self.held_draws, **found)

    def running(self) -> list[TrialProgress]:
        """The running trials, earliest start first."""
        return sorted((t for t in self.trials.values() if t.state == "running"), key=lambda t: t.started)

    def time_left_s(self) -> float | None:
        """Seconds until the last trial ends; ``None`` if no trial has been measured yet or no trial is running."""
        return time_left_s(self.trials.values(), now=self.clock(), slots=self.slots, to_draw=self.to_draw or 0)


def shown_metric_name(study: Study) -> str:
    """The validation metric to show: the study's primary metric if it is available after every epoch, else macro F1."""
    return study.primary_metric if study.primary_metric in SHOWN else SHOWN[0]
