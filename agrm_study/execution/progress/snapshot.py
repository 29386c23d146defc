"""Snapshot of a study, read only from its results folder; used by `status` and `watch`."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress, time_left_s
from agrm_study.execution.results_folder.lock import running_owner
from agrm_study.execution.results_folder.usage import read_used
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.repeated_failures import held_trials, search_keeps_failing
from agrm_study.plan.plan import Cell, parse_cells
from agrm_study.records.location import Location
from agrm_study.records.no_results import no_results
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.search_log import SearchLog, read_logs, search_names
from agrm_study.records.study_file import read_study
from agrm_study.records.validation_scores import read_metric
from agrm_study.study.reported import reported_in_record
from agrm_study.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State of a study at one point in time.

    Attributes:
        owner: The active run (study, host, pid, since); ``None`` if there is none.
        final: Progress of the trials that are reported; ``None`` while the first run is preparing its data.
        cells: Cells of the reported trials, except cells that a race no longer requires.
        search_logs: The points of each search: one log per search, or one per tuned arm and task.
        nothing_promoted: Whether a search has ended without a point to promote.
        unfinished: Started trials without a record: they are running, or the next run will resume them.
    """

    results: str
    owner: Mapping[str, Any] | None
    search: StudyProgress | None = None
    final: StudyProgress | None = None
    cells: tuple[Cell, ...] = ()
    search_logs: tuple[SearchLog, ...] = ()
    race: RaceLog | None = None
    nothing_promoted: bool = False
    unfinished: tuple[TrialProgress, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def progress(self) -> StudyProgress | None:
        """The current phase: the searches until their best points are planned, then the reported trials."""
        if self.search is not None and (self.search.counts().left or self.to_promote):
            return self.search
        return self.final

    @property
    def trials(self) -> dict[str, TrialProgress]:
        """The known trials of both phases."""
        phases = (phase for phase in (self.search, self.final) if phase is not None)
        return {trial_id: trial for phase in phases for trial_id, trial in phase.trials.items()}

    @property
    def states(self) -> Counter[str]:
        """Number of known trials by state; unfinished trials that are not running count as waiting."""
        return Counter(trial.state for trial in self.trials.values())

    @property
    def to_promote(self) -> int:
        """Number of final-phase trials that are added when the searches end."""
        return sum(log.to_promote for log in self.search_logs)

    @property
    def total(self) -> int:
        """Number of trials of the study, including trials that are not known yet."""
        return len(self.trials) + self._pending

    @property
    def left(self) -> int:
        """Number of remaining trials."""
        return self.states["waiting"] + self.states["running"] + self._to_come

    @property
    def over(self) -> bool:
        """Whether no run is active and no trials remain."""
        return self.owner is None and self.final is not None and not self.left

    @property
    def complete(self) -> bool:
        """Whether every trial has finished. A search trial that diverged counts as finished."""
        searched = () if self.search is None else self.search.trials.values()
        diverged = sum(trial.state == "failed" and trial.failure == "nan_loss" for trial in searched)
        finished = self.states["finished"] + diverged == self.total
        return self.final is not None and finished and not self.nothing_promoted

    @property
    def now(self) -> float:
        """The current time on the clock of `TrialProgress.updated`."""
        return 0.0 if self.final is None else self.final.clock()

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the last trial ends; ``None`` if no run is active or no trial has been measured yet."""
        if self.owner is None:
            return None
        slots = max(1, len(self.unfinished))
        return time_left_s(self.trials.values(), now=self.now, slots=slots, to_draw=self._to_come)

    @property
    def _pending(self) -> int:
        """Number of trials that are not known yet, including trials of searches that are held back."""
        if self.search is None:
            return self.to_promote
        return self.to_promote + (self.search.to_draw or 0) + self.search.held_draws

    @property
    def _to_come(self) -> int:
        """Number of trials that are not known yet and will run."""
        if self.search is None or not self.search.held_back:
            return self._pending
        return self.search.to_draw or 0


class SnapshotReader:
    """Reads snapshots of a results folder repeatedly; final records are read only once."""

    def __init__(self, results: str | Path) -> None:
        self._results, self._location = str(results), Location.of(results)
        self._study: tuple[object, Study] | None = None
        self._metrics: dict[tuple[str, str], float | None] = {}

    def read(self) -> Snapshot:
        """The current state of the study.

        Raises:
            InputError: If the folder contains no results and no run is preparing them, or its files are damaged.
        """
        owner = running_owner(self._location)
        plan = (self._location / "plan.json").read()
        if plan is None:
            if owner is None:
                raise no_results(self._location.address, "plan.json")
            return Snapshot(results=self._results, owner=owner)
        study = self._read_study()
        ledger = Ledger(self._location)
        states = ledger.states()
        race = RaceLog.read(self._location)
        cells = parse_cells(plan, f"{self._location.address}/plan.json")
        if race is not None:
            cells = wanted_cells(cells, race, [t for t, state in states.items() if state.status == "finished"])
        logs = read_logs(self._location, search_names(study))
        points = tuple(cell for log in logs for cell in search_cells(log))
        beats = self._beats({cell.trial_id for cell in (*points, *cells)}, states, owner)
        for beat in beats:  # overrides the record of a failed trial that is running again
            states.pop(beat.trial_id, None)
        started = {beat.trial_id for beat in beats}
        search = None
        if logs:
            known = states.keys() | started
            points = tuple(point for point in points if point.trial_id in known)
            search = self._progress(study, points, states, ledger, to_draw=0)
            for log in logs:
                to_draw, own = _to_draw(log, study, known), [cell.trial_id for cell in search_cells(log)]
                if search_keeps_failing((trial_id, states[trial_id]) for trial_id in own if trial_id in states):
                    search.held_draws += to_draw
                else:
                    search.to_draw = (search.to_draw or 0) + to_draw
        final = self._progress(study, cells, states, ledger)
        final.hold(held_trials(cells, states, started))
        if search is not None and search.held_back:  # the reported trials wait for the end of the search
            final.hold(trial.trial_id for trial in final.trials.values() if trial.state == "waiting")
        snapshot = Snapshot(
            results=self._results,
            owner=owner,
            search=search,
            final=final,
            cells=cells,
            search_logs=logs,
            race=race,
            nothing_promoted=any(log.ended and _promotes_nothing(log, study) for log in logs),
            problems=tuple(f"{problem.path}: {problem.reason}" for problem in ledger.problems),
        )
        trials = snapshot.trials
        for beat in beats:
            _apply(beat, trials[beat.trial_id], running=owner is not None, clock=final.clock())
        used = read_used(self._location, study.resources, states)
        for phase in (search, final):
            if phase is not None:
                phase.used = used
                phase.slots = phase.slots if owner is None else max(1, len(beats))
        return replace(snapshot, unfinished=tuple(trials[beat.trial_id] for beat in beats))

    def _read_study(self) -> Study:
        stamp = (self._location / "study.yaml").stamp()
        if self._study is None or self._study[0] != stamp:
            self._study = (stamp, read_study(self._location))
        return self._study[1]

    def _beats(
        self, planned: Collection[str], states: Mapping[str, TrialState], owner: Mapping[str, Any] | None
    ) -> list[Heartbeat]:
        """Last heartbeats of started attempts without a record, excluding attempts that the current run has not resumed
        and heartbeats that a killed or suspended process left behind for recorded attempts."""
        since = 0.0 if owner is None else owner.get("since", 0.0)
        return [
            beat
            for beat in Heartbeat.read_all(self._location)
            if beat.trial_id in planned
            and not beat.over
            and beat.updated_at >= since
            and (beat.trial_id not in states or beat.attempt > states[beat.trial_id].attempt)
        ]

    def _progress(
        self,
        study: Study,
        cells: Sequence[Cell],
        states: Mapping[str, TrialState],
        ledger: Ledger,
        *,
        to_draw: int | None = None,
    ) -> StudyProgress:
        """The progress of one phase, with the metrics of trials that have finished since the last snapshot."""
        progress = StudyProgress.of(study, cells, states, to_draw=to_draw)
        progress.slots = 0
        metric = progress.metric
        new = {
            trial_id: states[trial_id]
            for trial_id, trial in progress.trials.items()
            if trial.state == "finished" and (trial_id, metric) not in self._metrics
        }
        if new:
            rows = ledger.trials(trial_ids=new).set_index("trial_id")[["method", "params"]].T.to_dict()
            asked = study.base.evaluate

            def network_of(trial_id: str) -> str:
                return reported_in_record(rows[trial_id]["method"], json.loads(rows[trial_id]["params"]), asked)

            found = read_metric(ledger, new, metric, network_of)
            self._metrics |= {(trial_id, metric): found.get(trial_id) for trial_id in new}
        for trial_id, trial in progress.trials.items():
            trial.metric = self._metrics.get((trial_id, metric))
        return progress


def read_snapshot(results: str | Path) -> Snapshot:
    """One snapshot of a results folder; raises `InputError` like `SnapshotReader.read`."""
    return SnapshotReader(results).read()


def wanted_cells(cells: Sequence[Cell], race: RaceLog, finished: Collection[str]) -> tuple[Cell, ...]:
    """The cells that a race still requires, and the cells whose trial has finished."""
    spared = race.spared([(c.arm, c.task, c.seed, c.trial_id) for c in cells], set(finished))
    return tuple(cell for cell in cells if (cell.arm, cell.task, cell.seed) not in spared)


def search_cells(log: SearchLog) -> tuple[Cell, ...]:
    """Each trial that a search may run for the points sampled so far, as a cell named after its point."""
    cells = {
        trial_id: Cell(point.arm, log.task, log.seed + number, trial_id)
        for point in log.proposals
        for number, trial_id in enumerate(point.trial_ids)
    }
    return tuple(cells.values())


def _to_draw(log: SearchLog, study: Study, known: Collection[str]) -> int:
    """Maximum number of remaining trials of a search; skipped seeds of points that were dropped early still count."""
    if log.has_ended(1 if study.search is None else study.search.promote):
        return 0
    started = {trial_id for point in log.proposals for trial_id in point.trial_ids if trial_id in known}
    return max(0, log.trials * log.seeds - len(started))


def _promotes_nothing(log: SearchLog, study: Study) -> bool:
    """Whether a search has ended without promoting any point to its study."""
    if study.search is not None:
        return study.search.promote > 0 and not any(arm.settings for arm in study.arms)
    return any(arm.name == log.arm and log.task not in arm.tuned for arm in study.arms)


def _apply(beat: Heartbeat, trial: TrialProgress, *, running: bool, clock: float) -> None:
    """Updates a trial from its last heartbeat."""
    now = time.time()
    trial.state = "running" if running else "waiting"
    trial.epoch, trial.epochs, trial.metric = beat.epoch, beat.epochs or trial.epochs, beat.metric
    trial.wall_s, trial.epoch_s, trial.attempt = beat.wall_s, beat.epoch_s, beat.attempt
    trial.host, trial.note = beat.host, beat.note
    trial.updated, trial.started = clock - (now - beat.updated_at), clock - (now - beat.started_at)
