"""Evidence of a study, the input to its report.

Frozen values: the question, the arms, the planned trials, the records, and the findings about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from agrm_study.plan.same_training import SameTraining
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.report.cells import Cell
from agrm_study.report.checks.finding import Finding, refused_trials
from agrm_study.report.checks.people import People
from agrm_study.report.idle import NeverActed, never_acted, same_arms
from agrm_study.report.rate_cuts import RateCut, rate_cuts
from agrm_study.report.study_info import Planned, StudyInfo


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All input data of a report.

    Attributes:
        results: The results folder.
        study: The study and its arms.
        planned: All trials of the plan, in plan order, except trials that a race made unnecessary.
        trials: The `trials` records of the planned trials.
        searched: The `trials` records of the study's search phase.
        cells: Available test predictions by (arm, task).
        people: The `subjects` records: subjects in each part of each split.
        provenance: Content of provenance.json; empty if the file does not exist.
        problems: Findings about the evidence, each of which excludes or marks records.
        allow: Differences accepted between records (``code``, ``data``, ``split``).
        race: Decisions of the race; None for a study without a race.
    """

    results: Path
    study: StudyInfo
    planned: tuple[Planned, ...]
    trials: pd.DataFrame
    searched: pd.DataFrame
    cells: Mapping[tuple[str, str], Cell]
    people: People
    provenance: Mapping[str, Any]
    problems: tuple[Finding, ...]
    allow: tuple[str, ...] = ()
    race: RaceLog | None = None

    def epochs(self) -> pd.DataFrame:
        """The `epochs` records of the finished trials."""
        finished = self.trials.loc[self.trials["status"] == "finished", "trial_id"]
        return Ledger(self.results).epochs(trial_ids=list(finished))

    @cached_property
    def replicates(self) -> Mapping[tuple[str, str], tuple[Planned, ...]]:
        """The planned trials by (arm, task)."""
        found: dict[tuple[str, str], list[Planned]] = {}
        for p in self.planned:
            found.setdefault((p.arm, p.task), []).append(p)
        return {key: tuple(trials) for key, trials in found.items()}

    @cached_property
    def same(self) -> tuple[SameTraining, ...]:
        """Groups of arms that share the same training runs."""
        return same_arms(self.study.arms, self.planned)

    @cached_property
    def shares_trials(self) -> frozenset[str]:
        """Arms that share their training runs with other arms."""
        return frozenset(arm for group in self.same for arm in group.arms)

    @cached_property
    def never_acted(self) -> tuple[NeverActed, ...]:
        """Semi-supervised arms and tasks with trials in which semi-supervision had no effect."""
        finished = set(self.trials.loc[self.trials["status"] == "finished", "trial_id"])
        return never_acted(Ledger(self.results), self.study, self.replicates, finished)

    @cached_property
    def rate_cuts(self) -> tuple[RateCut, ...]:
        """Semi-supervised arms and tasks whose learning rate was cut before the unlabelled clips had full weight."""
        finished = set(self.trials.loc[self.trials["status"] == "finished", "trial_id"])
        return rate_cuts(Ledger(self.results), self.study, self.replicates, finished)

    @property
    def subjects(self) -> pd.DataFrame:
        """The `subjects` records, each row once."""
        return self.people.rows

    @property
    def finished(self) -> int:
        """Number of finished planned trials."""
        return int((self.trials["status"] == "finished").sum())

    @cached_property
    def refused(self) -> frozenset[str]:
        """Finished trials that a finding excludes from the numbers."""
        return refused_trials(self.problems) & set(self.trials.loc[self.trials["status"] == "finished", "trial_id"])

    def is_refused(self, arm: str, task: str) -> bool:
        """Whether an arm has no numbers on a task because of findings rather than missing trials."""
        cell = self.cells.get((arm, task))
        if cell is not None:
            return cell.refused is not None
        named = {(f.arm, f.task) for f in self.problems if f.severity == "refuse"}
        return (arm, task) in named or any(p.trial_id in self.refused for p in self.replicates.get((arm, task), ()))

    @property
    def partial(self) -> str | None:
        """A sentence that states what is missing; None if every planned trial is present and usable."""
        asked = len({p.trial_id for p in self.planned})
        if self.refused:
            usable = self.finished - len(self.refused)
            return f"PARTIAL: {usable} of {asked} planned trials are finished and usable"
        if self.finished < asked:
            return f"PARTIAL: {self.finished} of {asked} planned trials are finished"
        return None

    def planned_seeds(self, arm: str, task: str) -> tuple[tuple[int, int], ...]:
        """Seeds that the study requests for an arm on a task, each with its repeat of the folds."""
        return tuple(dict.fromkeys((p.seed, p.repeat) for p in self.replicates.get((arm, task), ())))
