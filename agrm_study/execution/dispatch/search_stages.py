"""Stages that trials of a search share.

Only supervised pre-training is shared, and only where its settings can be drawn again: the first trial that trains it
saves it, later draws reuse it, and no trial waits for another.
"""

from __future__ import annotations

from functools import cache

from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.stage_store import StageStore
from agrm_study.execution.trial.work import StageEnd
from agrm_study.plan.acting import idle_settings
from agrm_study.plan.epochs import SpanReader
from agrm_study.plan.identity import file_hash
from agrm_study.plan.stages import pretraining_end
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.study.study import Study


class SearchStages:
    """The stages of a search's trials; stages saved by other code are removed.

    Args:
        study: A study that searches.
        results: Results folder.
    """

    def __init__(self, study: Study, results: Location) -> None:
        self._shares = bool(study.sharing) and pretraining_comes_again(study)
        self._reader = SpanReader(cache(file_hash))
        if self._shares:
            StageStore.of(results).take_stock(code_version())

    def ends(self, trial: TrialSpec) -> tuple[StageEnd, ...]:
        """The stages that a trial reuses or saves.

        Raises:
            InputError: When a file that its recipe names cannot be read.
        """
        end = pretraining_end(trial, self._reader) if self._shares else None
        return () if end is None else (StageEnd(*end),)


def pretraining_comes_again(study: Study) -> bool:
    """Whether no setting drawn from a range affects pre-training; such a value is rarely drawn twice."""
    assert study.search is not None
    ssl = study.base.ssl.model_copy(update={"method": "supervised"})
    later = idle_settings(study.base.model_copy(update={"ssl": ssl})).keys() - {"ssl.pretrain_epochs"}
    return all(dimension.choices is not None or name in later for name, dimension in study.search.space.items())
