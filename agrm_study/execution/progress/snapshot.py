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
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.search_log import SearchLog
from agrm_study.records.study_file import read_study
from agrm_study.records.validation_scores import read_metric
from agrm_study.study.no_results import no_results
from agrm_study.study.reported import reported_in_record
from agrm_study.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State of a study at one time.

    Attributes:
        owner: The run that holds the study (study, host, pid, since); ``None`` for none.
        final: Progress of the trials that are reported; ``None`` while a first run still prepares its data.
        cells: Cells of those trials; those that a race spares are left out.
        nothing_promoted: Whether the search has ended without a point to promote.
        unfinished: Trials that were started and have no record: they are running, or the next run resumes them.
    """

    results: str
    owner: Mapping[str, Any] | None
    search: StudyProgress | None = None
    final: StudyProgress | None = None
    cells: tuple[Cell, ...] = ()
    search_log: SearchLog | None = None
    race: RaceLog | None = None
    nothing_promoted: bool = False
    unfinished: tuple[TrialProgress, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def progress(self) -> StudyProgress | None:
        """The current phase: the search until its best trials have become arms, then the reported trials."""
        if self.search is not None and (self.search.counts().left or self.to_promote):
            return self.search
        return self.final

    @property
    def trials(self) -> dict[str, TrialProgress]:
        """The trials of both phases that are known."""
        phases = (phase for phase in (self.search, self.final) if phase is not None)
        return {trial_id: trial for phase in phases for trial_id, trial in phase.trials.items()}

    @property
    def states(self) -> Counter[str]:
        """Known trials by state; those not running count as waiting."""
        return Counter(trial.state for trial in self.trials.values())

    @property
    def to_promote(self) -> int:
        """Trials of the final phase that the end of the search will add."""
        return 0 if self.search_log is None else self.search_log.to_promote

    @property
    def total(self) -> int:
        """Trials of the study, including those not known yet."""
        return len(self.trials) + self._pending

    @property
    def left(self) -> int:
        """Remaining trials."""
        return self.states["waiting"] + self.states["running"] + (0 if self._held_back else self._pending)

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
        """Seconds until the last trial ends; ``None`` if no run is active or nothing was measured."""
        if self.owner is None:
            return None
        slots = max(1, len(self.unfinished))
        to_draw = 0 if self._held_back else self._pending
        return time_left_s(self.trials.values(), now=self.now, slots=slots, to_draw=to_draw)

    @property
    def _held_back(self) -> bool:
        return self.search is not None and self.search.held_back

    @property
    def _pending(self) -> int:
        return self.to_promote + (0 if self.search is None else self.search.to_draw or 0)


class SnapshotReader:
    """Reads snapshots of a results folder repeatedly; final records are read only once."""

    def __init__(self, results: str | Path) -> None:
        self._results, self._location = str(results), Location.of(results)
        self._study: tuple[object, Study] | None = None
        self._metrics: dict[tuple[str, str], float | None] = {}

    def read(self) -> Snapshot:
        """The current state of the study.

        Raises:
            InputError: When the folder holds no results and no run is preparing them, or its files are damaged.
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
        log = SearchLog.read(self._location)
        points = () if log is None else search_cells(log)
        beats = self._beats({cell.trial_id for cell in (*points, *cells)}, owner)
        for beat in beats:  # a failed trial that is running again
            states.pop(beat.trial_id, None)
        started = {beat.trial_id for beat in beats}
        search = None
        if log is not None:
            known = states.keys() | started
            promote = 0 if study.search is None else study.search.promote
            points = tuple(point for point in points if point.trial_id in known)
            search = self._progress(study, points, states, ledger, to_draw=0)
            search.to_draw = 0 if log.has_ended(promote) else max(0, log.trials - len(points))
            recorded = ((p.trial_id, states[p.trial_id]) for p in points if p.trial_id in states)
            search.held_back = search_keeps_failing(recorded)
        final = self._progress(study, cells, states, ledger)
        final.hold(held_trials(cells, states, started))
        if search is not None and search.held_back:  # the reported trials wait for its end
            final.hold(trial.trial_id for trial in final.trials.values() if trial.state == "waiting")
        snapshot = Snapshot(
            results=self._results,
            owner=owner,
            search=search,
            final=final,
            cells=cells,
            search_log=log,
            race=race,
            nothing_promoted=log is not None and log.ended and _promotes_nothing(study),
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

    def _beats(self, planned: Collection[str], owner: Mapping[str, Any] | None) -> list[Heartbeat]:
        """Last updates of trials that were started and have no record; those that the current run has not
        resumed are left out."""
        since = 0.0 if owner is None else owner.get("since", 0.0)
        beats = Heartbeat.read_all(self._location)
        return [beat for beat in beats if beat.trial_id in planned and not beat.over and beat.updated_at >= since]

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
    """One snapshot of a results folder; `InputError` as `SnapshotReader.read`."""
    return SnapshotReader(results).read()


def wanted_cells(cells: Sequence[Cell], race: RaceLog, finished: Collection[str]) -> tuple[Cell, ...]:
    """The cells that a race still requires, and those whose trial has finished."""
    spared = race.spared([(c.arm, c.task, c.seed, c.trial_id) for c in cells], set(finished))
    return tuple(cell for cell in cells if (cell.arm, cell.task, cell.seed) not in spared)


def search_cells(log: SearchLog) -> tuple[Cell, ...]:
    """Each trial that a search has drawn, as a cell named after its point."""
    cells = {p.trial_id: Cell(p.arm, log.task, log.seed, p.trial_id) for p in log.proposals if p.trial_id}
    return tuple(cells.values())


def _promotes_nothing(study: Study) -> bool:
    """Whether a search has ended without adding an arm to its study, although it was to promote some."""
    return study.search is not None and study.search.promote > 0 and not any(arm.settings for arm in study.arms)


def _apply(beat: Heartbeat, trial: TrialProgress, *, running: bool, clock: float) -> None:
    """Updates a trial from its last heartbeat."""
    now = time.time()
    trial.state = "running" if running else "waiting"
    trial.epoch, trial.epochs, trial.metric = beat.epoch, beat.epochs or trial.epochs, beat.metric
    trial.wall_s, trial.epoch_s, trial.attempt = beat.wall_s, beat.epoch_s, beat.attempt
    trial.host, trial.note = beat.host, beat.note
    trial.updated, trial.started = clock - (now - beat.updated_at), clock - (now - beat.started_at)
