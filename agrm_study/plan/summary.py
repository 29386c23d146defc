"""Summary of the work that `run` would do for a study, and its cost; printed by `plan --json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from agrm_study.plan.averages import ArmSteps
from agrm_study.plan.budget import Bought
from agrm_study.plan.cost import Cost
from agrm_study.plan.disk import Disk, StoreSize
from agrm_study.plan.rehearsed import Rehearsed
from agrm_study.study.seeds import Stopped
from agrm_study.study.spec import Sharing


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """Cells of an arm by state; `reused` cells are finished in a different results folder."""

    arm: str
    cells: int
    finished: int
    failed: int
    reused: int

    @property
    def new(self) -> int:
        """Number of cells whose trials have yet to run."""
        return self.cells - self.finished - self.failed - self.reused


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceSummary:
    """Rules of a race, its decisions so far, and the minimum and maximum number of trials still required."""

    first: int
    most: int
    step: int
    level: float
    stopped: tuple[Stopped, ...]
    at_least: int
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldsSummary:
    """Folds of a study.

    Attributes:
        folds: Number of folds per repeat.
        repeats: Number of repeats.
        subjects: Number of labelled subjects, each of which is tested once per repeat and seed.
        per_fold: Smallest and largest number of subjects in a fold.
        sites: Sites in each fold of the first repeat; None unless folds consist of whole sites.
        reused: Whether fold 0 of the first repeat equals the split of the same study without folds, so that finished
            trials are reused.
        reused_finished: Number of finished trials of that fold, in this folder or a sibling folder.
    """

    folds: int
    repeats: int
    subjects: int
    per_fold: tuple[int, int]
    sites: tuple[tuple[str, ...], ...] | None
    reused: bool
    reused_finished: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSummary:
    """GPUs of a trial as given in the study, its GPU share if known, and the method of measurement."""

    asked: float | str
    share: float | None
    trials_on_one: int | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedArm:
    """The search that tunes an arm on a task: numbers of points by outcome, and the chosen point.

    Attributes:
        settings: The chosen settings; ``None`` before the end of the search, or if no point can be chosen.
        value: The first objective of the chosen point on validation data.
    """

    arm: str
    task: str
    finished: int
    dropped: int
    pruned: int
    failed: int
    missing: int
    trials_at_most: int
    to_promote: int
    held_back: bool
    settings: dict[str, Any] | None
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSummary:
    """Numbers of points of a search, or of all searches of a study that tunes its arms.

    Attributes:
        trials: Total number of points.
        seeds: Number of training seeds per point, with one trial per seed.
        finished: Points whose trials have all finished.
        dropped: Points abandoned after some of their seeds because of poor results.
        pruned: Points whose trial was ended early.
        failed: Points that failed deterministically.
        missing: Points that the search would still run.
        trials_at_most: Number of trials that these points need if all their seeds are trained.
        promote: Number of best points that become arms, or the settings of an arm.
        to_promote: Number of final-phase trials that are not known until the search ends; 0 afterwards.
        held_back: Whether a search is stopped because its trials keep failing in the same way.
        nothing_to_promote: Whether a search has ended without a point that can be promoted.
        tuned: The search for each arm and task, in a study that tunes its arms.
    """

    trials: int
    seeds: int
    finished: int
    dropped: int
    pruned: int
    failed: int
    missing: int
    trials_at_most: int
    promote: int
    to_promote: int
    held_back: bool
    nothing_to_promote: bool
    tuned: tuple[TunedArm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingSummary:
    """Stages that the missing trials share, stages already trained, and the epochs that remain with sharing."""

    asked: Sharing
    stages_shared: int
    stages_there: int
    epochs_at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedSummary:
    """Time of trials of kinds that have never run, estimated from steps timed on a device.

    Attributes:
        shapes: Description of each timed shape, with its times.
        steps: Number of timed steps.
        problems: Reasons why shapes could not be timed.
        slot_hours_at_most: Upper bound on the time; ``None`` if nothing was timed.
    """

    device: str
    threads: int
    shapes: tuple[tuple[str, Rehearsed], ...]
    steps: int
    problems: tuple[str, ...]
    slot_hours_at_most: float | None
    plus_minus: float | None
    trials_covered: int
    trials_unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """Work that `run` would do for a study.

    Attributes:
        notes: Facts that the user should know before the run.
        cells: Number of table cells; several may share a trial (`merged`).
        finished: Number of planned trials that are recorded as finished.
        equal_beside: Number of missing trials that are finished in a different results folder.
        missing: Number of trials to run, excluding search trials.
        epochs_at_most: Number of epochs of the trials to run, including search trials, without sharing.
        steps: Training steps and moving averages of every arm and task.
        data_to_write: Synthetic data that have not been generated yet.
        cost: Cost estimated from finished trials; ``None`` if no trial of the same kind has finished.
        timed: Cost estimated from timed steps, if requested.
        running_order: Ids of the trials to run, in execution order.
        cpu_hours, gpu_hours: Usage by the trials in the results folder, including failed attempts.
        bought: Trials that fit within a limit on time or GPU-hours, if one was given.
    """

    study: str
    question: str
    notes: tuple[str, ...]
    results: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    arms: tuple[ArmSummary, ...]
    cells: int
    trials: int
    merged: int
    finished: int
    failed: int
    equal_beside: int
    missing: int
    race: RaceSummary | None
    folds: FoldsSummary | None
    gpu: GpuSummary | None
    search: SearchSummary | None
    epochs_at_most: int
    steps: tuple[ArmSteps, ...]
    sharing: SharingSummary
    data_to_write: tuple[str, ...]
    clip_stores: tuple[StoreSize, ...]
    cost: Cost | None
    timed: TimedSummary | None
    disk: Disk | None
    running_order: tuple[str, ...]
    cpu_hours: float
    gpu_hours: float
    bought: Bought | None

    @property
    def to_run(self) -> int:
        """Number of trials to run, including search trials and trials of the arms that the search will promote."""
        return self.missing + (0 if self.search is None else self.search.trials_at_most + self.search.to_promote)

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        values = asdict(self)
        for store in values["clip_stores"]:
            store["path"] = store["path"] and str(store["path"])
        if self.timed is not None:
            values["timed"]["shapes"] = [{"shape": words} | asdict(times) for words, times in self.timed.shapes]
        return values
