"""Log of arms stopped by a race, with the number of seeds and the reason: ``race.json`` next to the plan.

The file is informational: its content is recomputed from the records whenever the study runs.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed
from agrm_study.study.seeds import Stopped

FILE: Final = "race.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceLog:
    """The content of ``race.json``.

    Attributes:
        metric: Validation metric at the best epoch, by which arms are compared.
        first: Number of seeds before the first interim look.
        most: Maximum number of seeds.
        step: Number of seeds between two interim looks.
        level: Upper bound, for each task, on the probability that a truly best arm is dropped.
        looked: Number of seeds at the last look, by task; 0 before the first look.
        stopped: Arms in the order in which they were stopped.
    """

    study: str
    metric: str
    first: int
    most: int
    step: int
    level: float
    looked: dict[str, int] = field(default_factory=dict)
    stopped: tuple[Stopped, ...] = ()

    @property
    def by_cell(self) -> dict[tuple[str, str], Stopped]:
        """The stopped arms, by (arm, task)."""
        return {(s.arm, s.task): s for s in self.stopped}

    def spared(self, cells: Collection[tuple[str, str, int, str]], done: Collection[str]) -> set[tuple[str, str, int]]:
        """Cells (arm, task, seed) that no longer need a trial.

        Args:
            cells: (arm, task, seed, trial id), with the seeds of each arm in order.
            done: Trials that have a record; their cells are never returned.
        """
        stopped = self.by_cell
        places: dict[tuple[str, str], int] = {}
        found = set()
        for arm, task, seed, trial_id in cells:
            if (arm, task) in stopped:
                place = places[arm, task] = places.get((arm, task), 0) + 1
                if place > stopped[arm, task].n and trial_id not in done:
                    found.add((arm, task, seed))
        return found

    def write(self, results: Location) -> None:
        """Writes the log to the results folder, atomically."""
        content = {"race_version": VERSION, **asdict(self)}
        (results / FILE).write_atomic((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, results: Location) -> RaceLog | None:
        """The log of a results folder; None if it is missing or unreadable."""
        return read_typed(cls, results / FILE, race_version=VERSION)

    @staticmethod
    def forget(results: Location) -> None:
        """Removes the log of an earlier race, for a study that now uses the same seeds for every arm."""
        (results / FILE).delete()
