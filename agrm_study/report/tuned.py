"""Points tried by the searches of a study, with their validation scores, from the records."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import read_logs
from agrm_study.records.validation_scores import read_scores
from agrm_study.report.evidence import Evidence
from agrm_study.report.facts import judged_networks
from agrm_study.study.search_space import Dimension

End = Literal["finished", "dropped", "pruned", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedPoint:
    """A point of a search: its sampled settings, its mean validation score over seeds, and its final state."""

    settings: Mapping[str, Any]
    value: float
    end: End


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedSearch:
    """The points sampled by the tuning of an arm on a task, or by a study's search (with an empty `arm`)."""

    arm: str
    task: str
    points: tuple[TriedPoint, ...]

    def ended(self, end: End) -> int:
        """Number of points with this final state."""
        return sum(point.end == end for point in self.points)


def tried_searches(e: Evidence) -> tuple[TriedSearch, ...]:
    """The searches of a study that have recorded trials, by task and arm; empty for a study without searches."""
    study = e.study
    if study.search_metric is None or e.searched.empty:
        return ()
    scores = _scores(e, study.search_metric)
    names = [("", next(iter(study.tasks)))]
    if study.tune is not None:
        names = [(arm.name, task) for task in study.tasks for arm in study.arms]
    logs = {(log.arm, log.task): log for log in read_logs(Location.of(e.results), names)}
    found = []
    for arm, task in names:
        log = logs.get((arm, task))
        drawn = None if log is None else [point.trial_ids for point in log.proposals]
        space = space_of(e, arm)
        rows = list(_points(_own(e.searched, arm, task), space)) if drawn is None else list(_drawn(e.searched, drawn))
        seeds = 1 if study.search_seeds is None else study.search_seeds
        points = tuple(_point(records, scores, space, seeds) for records in rows)
        if points:
            found.append(TriedSearch(arm=arm, task=task, points=points))
    return tuple(found)


def _scores(e: Evidence, metric: str) -> pd.Series[float]:
    """The score of each finished search trial at its best epoch, by trial id, as used by the search."""
    finished = e.searched[e.searched["status"] == "finished"].set_index("trial_id")
    networks = judged_networks(e, finished)
    best_epochs = {str(trial_id): int(epoch) for trial_id, epoch in finished["best_epoch"].fillna(0).items()}
    found = read_scores(Ledger(e.results), best_epochs, (metric,), networks.__getitem__)
    return pd.Series({trial_id: its.values[0] for trial_id, its in found.items()}, dtype=float)


def space_of(e: Evidence, arm: str) -> Mapping[str, Dimension] | None:
    """Settings that the tuning of an arm varies; None if every setting of a record is sampled."""
    if e.study.tune is None:
        return None
    own = e.study.arm(arm).space
    return e.study.tune.space if own is None else own


def _own(trials: pd.DataFrame, arm: str, task: str) -> pd.DataFrame:
    own = trials[trials["task"] == task]
    return own[own["arm"] == arm] if arm else own


def _points(trials: pd.DataFrame, space: Mapping[str, Dimension] | None) -> Iterator[pd.DataFrame]:
    """The records of each point, in order of start time; a point consists of records with equal sampled settings."""
    if trials.empty:
        return
    ordered = trials.sort_values("started_at", kind="stable", na_position="last")
    keys = ordered["params"].map(lambda text: json.dumps(_drawn_settings(text, space), sort_keys=True))
    for _, records in ordered.groupby(keys, sort=False):
        yield records


def _drawn(trials: pd.DataFrame, drawn: Sequence[tuple[str, ...]]) -> Iterator[pd.DataFrame]:
    """The records of each point of a log, in sampling order."""
    places = trials.set_index("trial_id", drop=False)
    for trial_ids in dict.fromkeys(drawn):
        known = [trial_id for trial_id in trial_ids if trial_id in places.index]
        if known:
            yield places.loc[known]


def _drawn_settings(params: str, space: Mapping[str, Dimension] | None) -> dict[str, Any]:
    given = json.loads(params)
    return {name: value for name, value in given.items() if space is None or name in space}


def _point(
    records: pd.DataFrame, scores: pd.Series[float], space: Mapping[str, Dimension] | None, seeds: int
) -> TriedPoint:
    finished = records[records["status"] == "finished"]
    known = scores.reindex(finished["trial_id"])
    end: End = "finished" if len(finished) >= seeds else "dropped"
    if len(finished) < len(records):
        end = "failed"
    elif (finished["stop_reason"] == PRUNED).any():
        end = "pruned"
    value = math.nan if end == "failed" or not len(known) else float(known.mean(skipna=False))
    return TriedPoint(settings=_drawn_settings(records["params"].iloc[0], space), value=value, end=end)
