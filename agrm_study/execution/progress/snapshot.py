"""How does a study look to someone who has only its results folder, while another process runs it?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agrm_study.execution.progress.search_status import search_cells
from agrm_study.execution.progress.state import StudyProgress, TrialProgress, shown_metric_name
from agrm_study.execution.progress.status import StudyStatus, planned_cells, status, wanted_cells
from agrm_study.execution.results_folder.lock import running_owner
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.plan.plan import Cell
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import SearchLog
from agrm_study.records.study_file import read_study
from agrm_study.records.validation_scores import column, read_scores
from agrm_study.study.reported import reported_in_record
from agrm_study.study.study import Study


@dataclass(slots=True)
class SeenProgress(StudyProgress):
    """The progress of a study as its folder tells it; the time left is what `status` says.

    Attributes:
        left_s: Seconds until the last trial ends; ``None`` when nobody runs it or nothing was measured.
    """

    left_s: float | None = None

    def time_left_s(self) -> float | None:
        return self.left_s


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a results folder.

    Attributes:
        owner: Who runs the study now; ``None`` for nobody.
        status: ``None`` while a first run still prepares its data, and has written no plan.
        progress: The phase that is under way: the search, or the trials that are reported.
    """

    owner: Mapping[str, Any] | None
    status: StudyStatus | None = None
    progress: SeenProgress | None = None

    @property
    def left(self) -> int:
        """Trials that have no last word yet."""
        return 0 if self.status is None else self.status.waiting + len(self.status.running)

    @property
    def over(self) -> bool:
        """Whether nobody runs the study and nothing of it is left."""
        return self.owner is None and self.status is not None and self.left == 0


class Watcher:
    """Looks at a results folder again and again; what cannot change any more is read once.

    Args:
        results: Results folder, a local path or a URI.
    """

    def __init__(self, results: str | Path) -> None:
        self._results = results
        self._location = Location.of(results)
        self._study: tuple[object, Study] | None = None
        self._metrics: dict[str, float | None] = {}

    def look(self) -> Snapshot:
        """The folder as it stands now.

        Raises:
            InputError: When it is no results folder and nobody is about to make one of it.
        """
        owner = running_owner(self._location)
        if owner is not None and not (self._location / "plan.json").exists():
            return Snapshot(owner)
        found = status(self._results)
        return Snapshot(found.active, found, self._progress(found))

    def _progress(self, found: StudyStatus) -> SeenProgress:
        study = self._read_study()
        log = SearchLog.read(self._location) if found.search is not None else None
        searching = log is not None and found.search is not None and bool(found.search.waiting + found.search.running)
        cells: Sequence[Cell]
        if log is not None and (searching or log.to_promote):
            cells, metric = search_cells(log), column(log.metric[0])
        else:
            log = None
            cells, metric = planned_cells(self._location), shown_metric_name(study)
        rows = self._rows({cell.trial_id for cell in cells})
        if log is None and found.race is not None:
            cells = wanted_cells(cells, found.race, [t for t, row in rows.items() if row["status"] == "finished"])
        self._read_metrics(rows, metric, study)
        trials = {cell.trial_id: self._trial(cell, study, rows.get(cell.trial_id)) for cell in reversed(cells)}
        progress = SeenProgress(
            name=study.name,
            question=study.question,
            metric=metric,
            tasks=tuple(study.tasks),
            arms=() if log else tuple(dict.fromkeys(cell.arm for cell in cells)),
            seeds=(log.seed,) if log else tuple(dict.fromkeys(cell.seed for cell in cells)),
            cells={} if log else {(cell.task, cell.arm, cell.seed): cell.trial_id for cell in cells},
            trials={cell.trial_id: trials[cell.trial_id] for cell in cells},
            slots=max(1, len(found.running)),
            to_draw=found.search.waiting if log and found.search else None,
            maximize=log is None or log.directions[0] == "maximize",
            left_s=found.time_left_s,
        )
        since = (found.active or {}).get("since", 0.0)
        self._add_beats(progress, Heartbeat.read_all(self._location), since, running=found.active is not None)
        return progress

    def _add_beats(self, progress: SeenProgress, beats: Iterable[Heartbeat], since: float, *, running: bool) -> None:
        """Trials that have begun: running, or waiting to go on when nobody runs the study."""
        now, clock = time.time(), progress.clock()
        for beat in beats:
            trial = progress.trials.get(beat.trial_id)
            if trial is None or beat.over or beat.updated_at < since:
                continue
            trial.state = "running" if running else "waiting"
            trial.epoch, trial.epochs, trial.metric = beat.epoch, beat.epochs or trial.epochs, beat.metric
            trial.note = beat.note
            trial.wall_s, trial.epoch_s, trial.attempt = beat.wall_s, beat.epoch_s, beat.attempt
            trial.heard, trial.started = clock - (now - beat.updated_at), clock - (now - beat.started_at)

    def _read_study(self) -> Study:
        file = self._location / "study.yaml"
        stamp = file.stamp()
        if self._study is None or self._study[0] != stamp:
            self._study = (stamp, read_study(self._location))
        return self._study[1]

    def _rows(self, wanted: set[str]) -> dict[str, dict[str, Any]]:
        """The `trials` record of each trial wanted that has one."""
        rows = Ledger(self._location).trials().to_dict("records")
        return {
            row["trial_id"]: {str(key): value for key, value in row.items()}
            for row in rows
            if row["trial_id"] in wanted
        }

    def _read_metrics(self, rows: Mapping[str, Mapping[str, Any]], metric: str, study: Study) -> None:
        """Validation metric at the best epoch of the trials that have finished since the last look."""
        best = {
            trial_id: int(row["best_epoch"])
            for trial_id, row in rows.items()
            if row["status"] == "finished" and trial_id not in self._metrics
        }
        self._metrics |= dict.fromkeys(best)
        asked = study.base.evaluate.network

        def network_of(trial_id: str) -> str:
            row = rows[trial_id]
            return reported_in_record(row["method"], json.loads(row["params"]), asked)

        scores = read_scores(Ledger(self._location), best, (metric,), network_of)
        self._metrics |= {t: s.values[0] for t, s in scores.items() if s.values[0] == s.values[0]}

    def _trial(self, cell: Cell, study: Study, row: Mapping[str, Any] | None) -> TrialProgress:
        recipe = next((arm.recipe for arm in study.arms if arm.name == cell.arm), study.base)
        trial = TrialProgress(cell.trial_id, cell.arm, cell.task, cell.seed, recipe.epochs)
        if row is not None:
            trial.state = "finished" if row["status"] == "finished" else "failed"
            trial.wall_s, trial.attempt = float(row["wall_s"] or 0.0), int(row["attempt"])
            trial.epoch = int(row["epochs"]) if trial.state == "finished" else 0
            trial.metric = self._metrics.get(cell.trial_id)
            trial.pruned = row["stop_reason"] == PRUNED
            if trial.state == "failed":
                trial.failure, trial.error = row["failure"], str(row["error"] or "").partition("\n")[0] or None
        return trial
