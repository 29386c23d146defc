"""Stages that the trials of a run share: lookup of saved stages, and removal of stages that no trial needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.stage_store import StageStore
from agrm_study.execution.trial.work import StageEnd, Work
from agrm_study.plan.acting import idle_settings
from agrm_study.plan.epochs import SpanReader
from agrm_study.plan.identity import file_hash
from agrm_study.plan.own_stages import EPOCHS, declared_epochs
from agrm_study.plan.searches import PlannedSearch
from agrm_study.plan.stages import plan_stages, pretraining_end
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.study.own_trainer import PREFIX
from agrm_study.study.spec import Sharing


class SharedStages:
    """The stages of a run's trials.

    Args:
        works: Every trial of the run, in execution order.
        sharing: `sharing` of the study; if False, nothing is looked up, saved or removed.
        joined: Whether other runs may be writing stages: no stage is removed before trials have ended.

    Raises:
        InputError: If a file specified in a recipe cannot be read.
    """

    def __init__(self, results: Location, works: Sequence[Work], sharing: Sharing, *, joined: bool) -> None:
        self._sharing = sharing
        self._store = StageStore.of(results)
        self._saved: dict[str, int] = {}
        if not sharing:
            return
        stock = self._store.look(code_version()) if joined else self._store.take_stock(code_version())
        self._saved = {key: facts.epoch for key, facts in stock.items()}
        if self._keeps or joined or not stock:
            return
        needed = plan_stages([work.trial for work in works], known=stock).by_key
        for key in stock.keys() - needed.keys():
            self._store.drop(key)
            del self._saved[key]

    def source(self, works: Sequence[Work]) -> WorkSource:
        """The source of the given trials; each waits until a stage that it shares is saved."""
        if not self._sharing:
            return WorkSource(works)
        trials = [work.trial for work in works]
        ends = self._pretraining_ends(trials) if self._keeps else set()
        stages = plan_stages(trials, known=self._saved.keys() | ends)
        order = TrialQueue(works, stages, saved=self._saved, exists=self._exists, keep=self._keeps)
        return WorkSource(works, order=order) if self._keeps else WorkSource(works, order=order, drop=self._store.drop)

    @property
    def _keeps(self) -> bool:
        return self._sharing == "keep"

    @staticmethod
    def _pretraining_ends(trials: Sequence[TrialSpec]) -> set[str]:
        """Ends of pre-training, at which arms added later are most likely to branch off."""
        reader = SpanReader(cache(file_hash))
        ends = (pretraining_end(trial, reader) for trial in trials)
        return {end[0] for end in ends if end is not None}

    def epoch(self, key: str) -> int | None:
        """Epoch of the state of a saved stage; ``None`` if it is not saved."""
        facts = self._store.find(key)
        return facts.epoch if facts is not None and facts.code_version == code_version() else None

    def _exists(self, key: str) -> bool:
        try:
            return self._store.exists(key)
        except OSError:  # the worker reports the error
            return True


class SearchStages:
    """The stages of a search's trials; stages saved by other versions of the code are removed.

    Only supervised pre-training is shared, and only if its settings can be sampled again: the first trial that runs
    it saves it, later draws reuse it, and no trial waits for another.
    """

    def __init__(self, search: PlannedSearch, results: Location) -> None:
        self._shares = bool(search.study.sharing) and pretraining_comes_again(search)
        self._reader = SpanReader(cache(file_hash))
        if self._shares:
            StageStore.of(results).take_stock(code_version())

    def ends(self, trial: TrialSpec) -> tuple[StageEnd, ...]:
        """The stages that a trial reuses or saves; raises `InputError` if a file in its recipe cannot be read."""
        end = pretraining_end(trial, self._reader) if self._shares else None
        return () if end is None else (StageEnd(*end),)


def pretraining_comes_again(search: PlannedSearch) -> bool:
    """Whether pre-training is unaffected by settings sampled from a range, whose values are rarely sampled twice."""
    if search.base.own_trainer:
        acting = declared_epochs(search.base).names
        own = (name for name in search.space if name == EPOCHS or name.startswith(PREFIX))
        later = {name for name in own if name.removeprefix(PREFIX) not in acting}
    else:
        ssl = search.base.ssl.model_copy(update={"method": "supervised"})
        idle = idle_settings(search.base.model_copy(update={"ssl": ssl}))
        later = idle.keys() - {"ssl.pretrain_epochs"}
    return all(dimension.choices is not None or name in later for name, dimension in search.space.items())
