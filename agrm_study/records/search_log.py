"""Log of the points sampled by a search, in order: ``search.json`` next to the plan, or a file per tuned arm and task.

The outcome of a trial is in the ledger. This file adds the trials that were sampled but have no record yet, and the
sampling order of all trials. If it is missing, a search resumes from the records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed
from agrm_study.study.study import Study

FILE: Final = "search.json"
FOLDER: Final = "search"
"""Folder for the files of tuned arms, one per arm and task."""
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One point suggested by the sampler.

    Attributes:
        trial_id: Trial of the point with the search's first seed; empty if the values do not form a valid recipe.
        arm: Name of the point.
        settings: Values by dotted name.
        drawn: The same values as Optuna parameters, exactly as sampled.
        further: Trials of the point with the search's other seeds, in order.
    """

    trial_id: str
    arm: str
    settings: dict[str, Any]
    drawn: dict[str, float | int] = field(default_factory=dict)
    further: tuple[str, ...] = ()

    @property
    def trial_ids(self) -> tuple[str, ...]:
        """Trials of the point, one per seed of the search; empty if the values do not form a valid recipe."""
        return (self.trial_id, *self.further) if self.trial_id else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLog:
    """The points of one search.

    Attributes:
        seed: Training seed of a point's first trial; the other seeds follow.
        trials: Requested number of points.
        metric: The objectives.
        directions: ``maximize`` or ``minimize`` for each objective.
        to_promote: Number of final-phase trials to add when the search ends; 0 once they are planned.
        network: The network that is evaluated from the teacher's first epoch onwards.
        ended: Whether the search has ended with the points sampled so far and its best points have been promoted.
        proposals: Points in sampling order.
        arm: The arm that is tuned; empty for the search of a study.
        seeds: Number of training seeds per point.
    """

    study: str
    task: str
    seed: int
    trials: int
    metric: tuple[str, ...]
    directions: tuple[str, ...]
    to_promote: int
    network: str = "student"
    ended: bool = False
    proposals: tuple[Proposal, ...] = ()
    arm: str = ""
    seeds: int = 1

    def has_ended(self, promote: int) -> bool:
        """Whether the search has ended, even if it has fewer trials than requested.

        Args:
            promote: Number of best trials to promote.
        """
        return self.ended or self.to_promote == 0 < promote

    def write(self, results: Location) -> None:
        """Writes the log to the results folder, atomically."""
        content = {"search_version": VERSION, **asdict(self)}
        text = json.dumps(content, ensure_ascii=False) + "\n"
        (results / log_file(self.arm, self.task)).write_atomic(text.encode(), durable=False)

    @classmethod
    def read(cls, results: Location, arm: str = "", task: str = "") -> SearchLog | None:
        """The log of a study's search, or of the tuning of an arm; ``None`` if it is missing or unreadable."""
        return read_typed(cls, results / log_file(arm, task), search_version=VERSION)


def log_file(arm: str, task: str) -> str:
    """The file of a search, relative to the results folder; hashed, since arm names may contain any character."""
    if not arm:
        return FILE
    return f"{FOLDER}/{hashlib.sha256(json.dumps([arm, task]).encode()).hexdigest()[:16]}.json"


def search_names(study: Study) -> list[tuple[str, str]]:
    """Arm and task of each search of a study; the arm is empty for the search of a whole study."""
    if study.tune is not None:
        return [(arm.name, task) for task in study.tasks for arm in study.arms]
    return [] if study.search is None else [("", study.first_task)]


def read_logs(results: Location, names: Iterable[tuple[str, str]]) -> tuple[SearchLog, ...]:
    """The logs of the searches with the given arms and tasks; unreadable logs are omitted."""
    logs = (SearchLog.read(results, arm, task) for arm, task in names)
    return tuple(log for log in logs if log is not None)
