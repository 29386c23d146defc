"""Status of a study as plain values, as printed by `status --json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from agrm_study.execution.progress.snapshot import Snapshot, read_snapshot, search_cells
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.results_folder.usage import Used
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.records.race_log import RaceLog
from agrm_study.records.search_log import SearchLog


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedTrial:
    """A started trial without a record; its last update was `heard_s` seconds ago."""

    trial_id: str
    arms: tuple[str, ...]
    task: str
    seed: int
    epoch: int
    epochs: int
    metric: float | None
    epoch_s: float
    wall_s: float
    attempt: int
    host: str
    heard_s: float
    note: str = ""
    fold: int | None = None
    repeat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStatus:
    """A trial whose last attempt failed."""

    trial_id: str
    arms: tuple[str, ...]
    task: str
    seed: int
    failure: str
    error: str
    attempt: int
    heals: bool
    fold: int | None = None
    repeat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStatus:
    """Trials of an arm on a task, by state."""

    arm: str
    task: str
    finished: int
    running: int
    failed: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningStatus:
    """Progress of the tuning of an arm on a task, in trials; `best` is the best value on validation data so far."""

    arm: str
    task: str
    finished: int
    pruned: int
    failed: int
    running: int
    waiting: int
    best: float | None
    best_point: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStatus:
    """Progress of a search, or of all searches of a study that tunes its arms, in trials.

    Attributes:
        finished: Trials that ran to completion.
        pruned: Trials that the pruner ended early.
        running: Trials that are running, or that the next run resumes.
        waiting: Remaining trials; 0 once the best points have been promoted.
        metric: First objective of the search, a validation metric.
        best: The best value so far; ``None`` before a trial has finished.
        to_promote: Final-phase trials that are added when the search ends; 0 once they are planned.
        tuned: Progress for each arm and task, in a study that tunes its arms.
    """

    trials: int
    finished: int
    pruned: int
    failed: int
    running: int
    waiting: int
    metric: str
    best: float | None
    best_arm: str | None
    to_promote: int
    tuned: tuple[TuningStatus, ...] = ()

    @property
    def total(self) -> int:
        """Trials of the search, excluding trials that can no longer be sampled."""
        return self.finished + self.pruned + self.failed + self.running + self.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """Status of a study.

    Attributes:
        active: The active run (study, host, pid, since); ``None`` if there is none.
        running: Running trials; if no run is active, trials that the next run resumes.
        search: Progress of the search, for a study with a search; its trials are included in the counts above.
        race: Decisions of the race, for a study with a race; trials that it no longer requires are not counted.
        time_left_s: Seconds until the last trial ends at the current pace; ``None`` if no run is active or no trial has
            been measured yet.
        used: CPU-hours and GPU-hours used by the trials, including failed attempts.
    """

    results: str
    active: dict[str, Any] | None
    total: int
    finished: int
    failed: int
    waiting: int
    running: tuple[UnfinishedTrial, ...]
    failures: tuple[FailureStatus, ...]
    arms: tuple[ArmStatus, ...]
    search: SearchStatus | None
    race: RaceLog | None
    time_left_s: float | None
    problems: tuple[str, ...]
    used: Used = field(default_factory=Used)

    @property
    def held(self) -> int:
        """Trials that are not started because their arm keeps failing in the same way."""
        return self.total - self.finished - self.failed - self.waiting - len(self.running)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"used": self.used.to_dict()}


def status(results: str | Path) -> StudyStatus:
    """The status of a results folder; raises `InputError` like `SnapshotReader.read`."""
    return status_of(read_snapshot(results))


def status_of(snapshot: Snapshot) -> StudyStatus:
    """A snapshot as plain values."""
    trials = snapshot.trials
    names: dict[str, dict[str, None]] = {}
    if snapshot.search is not None:
        names = {trial_id: {trial.arm: None} for trial_id, trial in snapshot.search.trials.items()}
    for cell in snapshot.cells:
        names.setdefault(cell.trial_id, {})[cell.arm] = None
    running = tuple(
        UnfinishedTrial(
            **trial.shared_with(UnfinishedTrial),
            arms=tuple(names[trial.trial_id]),
            heard_s=max(0.0, snapshot.now - trial.updated),
        )
        for trial in snapshot.unfinished
    )
    failures = tuple(
        FailureStatus(
            **trial.shared_with(FailureStatus) | {"failure": trial.failure or "bug", "error": trial.error or ""},
            arms=tuple(names[trial.trial_id]),
            heals=trial.failure not in DETERMINISTIC,
        )
        for trial in trials.values()
        if trial.state == "failed"
    )
    return StudyStatus(
        results=snapshot.results,
        active=None if snapshot.owner is None else dict(snapshot.owner),
        total=snapshot.total,
        finished=snapshot.states["finished"],
        failed=len(failures),
        waiting=snapshot.left - len(running),
        running=running,
        failures=failures,
        arms=_by_arm(snapshot),
        search=_search_status(snapshot),
        race=snapshot.race,
        time_left_s=snapshot.time_left_s,
        problems=snapshot.problems,
        used=(None if snapshot.final is None else snapshot.final.used) or Used(),
    )


def _by_arm(snapshot: Snapshot) -> tuple[ArmStatus, ...]:
    trials, unfinished = snapshot.trials, {trial.trial_id for trial in snapshot.unfinished}
    counts: dict[tuple[str, str], Counter[str]] = {}
    for cell in snapshot.cells:
        word = "running" if cell.trial_id in unfinished else trials[cell.trial_id].state
        counts.setdefault((cell.arm, cell.task), Counter())[word] += 1
    words = ("finished", "running", "failed", "waiting")
    return tuple(
        ArmStatus(arm=arm, task=task, **{word: count[word] for word in words}) for (arm, task), count in counts.items()
    )


def _search_status(snapshot: Snapshot) -> SearchStatus | None:
    search, logs = snapshot.search, snapshot.search_logs
    if search is None or not logs:
        return None
    unfinished = {trial.trial_id for trial in snapshot.unfinished}
    counts = _ends(search.trials.values(), unfinished)
    best = next(iter(search.best()), None)
    return SearchStatus(
        trials=sum(log.trials * log.seeds for log in logs),
        **counts,
        waiting=search.counts().left - counts["running"],
        metric=search.metric,
        best=None if best is None else best.metric,
        best_arm=None if best is None else best.arm,
        to_promote=snapshot.to_promote,
        tuned=tuple(_tuning(log, search, unfinished) for log in logs if log.arm),
    )


def _tuning(log: SearchLog, search: StudyProgress, unfinished: Collection[str]) -> TuningStatus:
    own = [search.trials[cell.trial_id] for cell in search_cells(log) if cell.trial_id in search.trials]
    counts = _ends(own, unfinished)
    best = next(iter(replace(search, trials={trial.trial_id: trial for trial in own}).best()), None)
    return TuningStatus(
        arm=log.arm,
        task=log.task,
        **counts,
        waiting=0 if log.ended else max(0, log.trials * log.seeds - sum(counts.values())),
        best=None if best is None else best.metric,
        best_point=None if best is None else best.arm.removeprefix(f"{log.arm}: "),
    )


def _ends(trials: Collection[TrialProgress], unfinished: Collection[str]) -> dict[str, int]:
    """Trials of a search by outcome, and the number of trials that are running or that the next run resumes."""
    states = Counter(trial.state for trial in trials)
    pruned = sum(trial.state == "finished" and trial.pruned for trial in trials)
    return {
        "finished": states["finished"] - pruned,
        "pruned": pruned,
        "failed": states["failed"],
        "running": sum(trial.trial_id in unfinished for trial in trials),
    }
