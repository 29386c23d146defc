"""Points drawn by a search so far, in order: ``search.json`` beside the plan.

The outcome of a trial is in the ledger. This file adds which trials were drawn but have no record yet, and the order
in which all were drawn. If it is missing, a search resumes from the records.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed

FILE: Final = "search.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One point that the sampler drew.

    Attributes:
        trial_id: Its trial; empty if the values give no valid recipe.
        arm: Name of the point.
        settings: Values by dotted name.
        drawn: The same values as Optuna's parameters, exactly as drawn.
    """

    trial_id: str
    arm: str
    settings: dict[str, Any]
    drawn: dict[str, float | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLog:
    """The content of ``search.json``.

    Attributes:
        trials: Requested number of trials.
        metric: The objectives.
        directions: ``maximize`` or ``minimize`` of each.
        to_promote: Trials of the final phase that the end of the search will add; 0 once they are planned.
        network: The network that is judged, from the teacher's first epoch on.
        ended: Whether the search has ended with the points drawn so far and its best are planned.
        proposals: Points in the order in which they were drawn.
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

    def has_ended(self, promote: int) -> bool:
        """Whether the search draws no more points, even if it has fewer trials than requested.

        Args:
            promote: Number of best trials to promote.
        """
        return self.ended or self.to_promote == 0 < promote

    def write(self, results: Location) -> None:
        """Writes the log to the results folder, atomically."""
        content = {"search_version": VERSION, **asdict(self)}
        (results / FILE).write_atomic((json.dumps(content, ensure_ascii=False) + "\n").encode(), durable=False)

    @classmethod
    def read(cls, results: Location) -> SearchLog | None:
        """The log of a results folder; ``None`` if it is missing or unreadable."""
        return read_typed(cls, results / FILE, search_version=VERSION)
