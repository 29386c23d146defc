"""How do the trials of a run come to share stages? What is there is looked up, and what nobody needs is removed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.stage_store import StageStore
from agrm_study.execution.trial.work import Work
from agrm_study.plan.epochs import SpanReader
from agrm_study.plan.identity import file_hash
from agrm_study.plan.stages import plan_stages, pretraining_end
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.study.spec import Sharing


class SharedStages:
    """The stages of a run's trials.

    Args:
        results: Results folder.
        works: Every trial of the run, in running order.
        sharing: As the study says; False: nothing is looked up, left or removed.

    Raises:
        InputError: When a file that a recipe names cannot be read.
    """

    def __init__(self, results: Location, works: Sequence[Work], sharing: Sharing) -> None:
        self._sharing = sharing
        self._shelf = StageStore.of(results)
        self._there: dict[str, int] = {}
        if not sharing:
            return
        stock = self._shelf.take_stock(code_version())
        self._there = {key: facts.epoch for key, facts in stock.items()}
        if self._keeps or not stock:
            return
        needed = plan_stages([work.trial for work in works], known=stock).by_key
        for key in stock.keys() - needed.keys():
            self._shelf.drop(key)
            del self._there[key]

    def source(self, works: Sequence[Work]) -> WorkSource:
        """Hands out some of the trials, each when what it shares with others is there."""
        if not self._sharing:
            return WorkSource(works)
        trials = [work.trial for work in works]
        ends = self._pretraining_ends(trials) if self._keeps else set()
        stages = plan_stages(trials, known=self._there.keys() | ends)
        order = TrialQueue(works, stages, there=self._there, exists=self._exists, keep=self._keeps)
        return WorkSource(works, order=order) if self._keeps else WorkSource(works, order=order, drop=self._shelf.drop)

    @property
    def _keeps(self) -> bool:
        return self._sharing == "keep"

    @staticmethod
    def _pretraining_ends(trials: Sequence[TrialSpec]) -> set[str]:
        """Where arms that are not asked for yet are most likely to part from these."""
        reader = SpanReader(cache(file_hash))
        ends = (pretraining_end(trial, reader) for trial in trials)
        return {end[0] for end in ends if end is not None}

    def _exists(self, key: str) -> bool:
        try:
            return self._shelf.exists(key)
        except OSError:  # the worker finds out
            return True
