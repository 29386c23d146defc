"""Points that a search has drawn so far, in order: ``search.json`` beside the plan.

The ledger alone says how a trial ended. This file adds what the ledger cannot know: which trials were drawn and have
no record yet, and in which order all were drawn. Without it a search goes on from the records.
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
        trial_id: Its trial; empty when no recipe allows the values.
        arm: What the point is called.
        settings: Values by dotted name.
        drawn: The same in Optuna's terms, exactly as drawn.
    """

    trial_id: str
    arm: str
    settings: dict[str, Any]
    drawn: dict[str, float | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLog:
    """The content of ``search.json``.

    Attributes:
        trials: How many trials the search is to have.
        metric: Its objectives.
        directions: ``maximize`` or ``minimize`` of each.
        to_promote: Trials of the final phase that the end of the search will add; 0 once they are planned.
        network: The network that is judged, once there is a teacher.
        ended: Whether the search has ended, with what it has drawn, and its best are planned.
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
        """Whether the search draws no more, though it may have fewer trials than it was to have.

        Args:
            promote: How many of the best the study asks to promote.
        """
        return self.ended or self.to_promote == 0 < promote

    def write(self, results: Location) -> None:
        """Puts it into the results folder; readers see the old file or the new one."""
        content = {"search_version": VERSION, **asdict(self)}
        (results / FILE).write_atomic((json.dumps(content, ensure_ascii=False) + "\n").encode(), durable=False)

    @classmethod
    def read(cls, results: Location) -> SearchLog | None:
        """The log of a results folder; ``None`` where there is none, or none that can be read."""
        return read_typed(cls, results / FILE, search_version=VERSION)
