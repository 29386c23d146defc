"""Arms that a race has stopped, after how many seeds, and why: ``race.json`` beside the plan.

The file is informative: its content follows from the records and is computed anew whenever the study runs.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed

FILE: Final = "race.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """An arm that gets no more seeds on a task.

    Attributes:
        n: Seeds that were asked of it.
        rival: The arm that beat it most surely.
        pairs: Seeds that both have.
        difference: Mean of rival − arm over them, in the metric of the race.
        p: One-sided paired t.
        limit: The level of that test.
    """

    arm: str
    task: str
    n: int
    rival: str
    pairs: int
    difference: float
    p: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceLog:
    """The content of ``race.json``.

    Attributes:
        metric: Validation metric that decides, at the best epoch.
        first: Seeds before the first look.
        most: Seeds at most.
        step: Seeds between two looks.
        level: Probability at most that a truly best arm is dropped, by task.
        looked: By task, the number of seeds at the last look; 0 before the first.
        stopped: Arms in the order in which they went out.
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
        """Why an arm was stopped on a task, by (arm, task)."""
        return {(s.arm, s.task): s for s in self.stopped}

    def spared(self, cells: Collection[tuple[str, str, int, str]], done: Collection[str]) -> set[tuple[str, str, int]]:
        """Cells (arm, task, seed) that need no trial any more.

        Args:
            cells: (arm, task, seed, trial id), the seeds of an arm in their order.
            done: Trials that have a record: they count in any case.
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
        """Puts it into the results folder; readers see the old file or the new one."""
        content = {"race_version": VERSION, **asdict(self)}
        (results / FILE).write_atomic((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, results: Location) -> RaceLog | None:
        """The log of a results folder; None where there is none, or none that can be read."""
        return read_typed(cls, results / FILE, race_version=VERSION)

    @staticmethod
    def forget(results: Location) -> None:
        """Removes what an earlier race has said: the study gives every arm the same seeds now."""
        (results / FILE).delete()
