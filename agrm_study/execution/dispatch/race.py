"""State of a race, replayed from validation scores so that a restarted run makes the same decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np

from agrm_study.plan.plan import Plan
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.records.validation_scores import read_scores
from agrm_study.statistics.racing import drop, limit, looks
from agrm_study.study.counted import counted
from agrm_study.study.reported import reported_network
from agrm_study.study.seeds import Stopped
from agrm_study.study.study import Study


@dataclass(slots=True)
class _Task:
    """The race on one task.

    Attributes:
        trials: Trial ids of each arm, in the order of the seeds.
        inside: Arms still in the race, in the order of the study.
    """

    trials: dict[str, tuple[str, ...]]
    inside: list[str]
    looked: int = 0
    stopped: list[Stopped] = field(default_factory=list)


class RaceState:
    """A race over the trials of a plan, reconstructed from the ledger; each task has its own race.

    Args:
        to_run: Trials that have no record or are to be rerun.
    """

    def __init__(self, study: Study, plan: Plan, results: Location, to_run: Collection[str]) -> None:
        assert study.race is not None
        self._plan, self._results = plan, results
        self._ended = {trial.trial_id for trial in plan.trials}.difference(to_run)
        self._scores: dict[str, float] = {}
        self._study, self._race = study.name, study.race
        self._metric, self._reference = study.primary_metric, study.reference
        self._looks = looks(self._race.first, self._race.most, self._race.step)
        self._tasks: dict[str, _Task] = {}
        rows: dict[tuple[str, str], list[str]] = {}
        for cell in plan.cells:
            rows.setdefault((cell.task, cell.arm), []).append(cell.trial_id)
        for (task, arm), ids in rows.items():
            state = self._tasks.setdefault(task, _Task({}, []))
            state.trials[arm] = tuple(ids)
            state.inside.append(arm)
        for task in self._tasks:
            self.advance(task)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks."""
        return tuple(self._tasks)

    def over(self, task: str) -> bool:
        """Whether the last interim look is complete, so that the remaining arms get all seeds."""
        return self._tasks[task].looked == len(self._looks)

    def asked(self, task: str) -> set[str]:
        """The trials of the arms still in the race, for the current and earlier rounds."""
        state = self._tasks[task]
        n = self._race.most if self.over(task) else self._looks[state.looked]
        return {trial_id for arm in state.inside for trial_id in state.trials[arm][:n]}

    def end(self, trial_ids: Iterable[str]) -> None:
        """Marks the given trials as having no further scores."""
        self._ended.update(trial_ids)

    def advance(self, task: str) -> None:
        """Performs the interim look of each complete round.

        A look uses only the seeds of the current and earlier rounds, so the decision does not depend on when it is
        made.
        """
        while not self.over(task) and self.asked(task) <= self._ended:
            self._read_scores(self.asked(task))
            self._look(task)

    def wanted(self) -> set[str]:
        """All trials of the arms still in the race."""
        return {trial_id for state in self._tasks.values() for arm in state.inside for trial_id in state.trials[arm]}

    def at_most(self, missing: Collection[str]) -> int:
        """Trials still to run if no further arm is dropped."""
        return len(self.wanted().intersection(missing))

    def at_least(self, missing: Collection[str]) -> int:
        """Trials still to run if all arms but one are dropped at the next look."""
        wanted: set[str] = set()
        for task, state in self._tasks.items():
            wanted |= self.asked(task)
            stays = [self._reference] if self._reference in state.inside else state.inside
            left = {arm: set(state.trials[arm]).intersection(missing) for arm in stays if arm is not None}
            wanted |= min(left.values(), key=len, default=set())
        return len(wanted.intersection(missing))

    def log(self) -> RaceLog:
        """Decisions of the race so far."""
        race = self._race
        return RaceLog(
            study=self._study,
            metric=self._metric,
            first=race.first,
            most=race.most,
            step=race.step,
            level=race.level,
            looked={task: self._looks[state.looked - 1] if state.looked else 0 for task, state in self._tasks.items()},
            stopped=tuple(stopped for state in self._tasks.values() for stopped in state.stopped),
        )

    def _read_scores(self, trial_ids: Collection[str]) -> None:
        """Reads the validation metric at the best epoch of the given trials that have finished, each once."""
        unknown = [trial_id for trial_id in trial_ids if trial_id not in self._scores]
        if not unknown:
            return
        ledger = Ledger(self._results)
        trials = ledger.trials()
        finished = trials[(trials["status"] == "finished") & trials["trial_id"].isin(unknown)]
        best = {str(t): int(e) for t, e in zip(finished["trial_id"], finished["best_epoch"], strict=True)}
        found = read_scores(ledger, best, (self._metric,), lambda t: reported_network(self._plan.by_id[t].recipe))
        self._scores.update({trial_id: its.values[0] for trial_id, its in found.items()})

    def _look(self, task: str) -> None:
        state = self._tasks[task]
        n = self._looks[state.looked]
        arms = state.inside
        values_AS = np.array([[self._scores.get(t, np.nan) for t in state.trials[arm][:n]] for arm in arms])
        keep = [arms.index(self._reference)] if self._reference in arms else []
        level = limit(self._race.level, len(state.trials), len(self._looks))
        outs = drop(values_AS, range(len(arms)), level, keep=keep)
        new = [
            Stopped(
                arm=arms[out.arm],
                task=task,
                n=n,
                rival=arms[out.rival],
                pairs=out.n,
                difference=out.difference,
                p=out.p,
                limit=out.limit,
            )
            for out in outs
        ]
        gone = {stopped.arm for stopped in new}
        state.inside = [arm for arm in arms if arm not in gone]
        state.stopped += new
        state.looked += 1


def why(stopped: Stopped, *, task: bool) -> str:
    """Explains in one sentence why an arm gets no more seeds."""
    arm = f"{stopped.arm} ({stopped.task})" if task else stopped.arm
    return (
        f"{arm} stops after {counted(stopped.n, 'seed')}: {stopped.rival} is better on validation data by "
        f"{stopped.difference:.3f} (p = {stopped.p:.2g}, threshold {stopped.limit:.2g})."
    )
