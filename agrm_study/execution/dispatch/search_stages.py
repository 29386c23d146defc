"""Which epochs can trials of a search share, when nobody knows what is drawn next?

Their supervised pre-training, where its settings can come again: the first trial that has trained it leaves it, whoever
is drawn later takes it over, and nobody waits.
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
    """The stages of a search's trials; what is there of older code is removed.

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
        """What a trial takes over or leaves.

        Raises:
            InputError: When a file that its recipe names cannot be read.
        """
        end = pretraining_end(trial, self._reader) if self._shares else None
        return () if end is None else (StageEnd(*end),)


def pretraining_comes_again(study: Study) -> bool:
    """Whether no setting that is drawn from a range acts in pre-training: such a one hardly ever comes twice."""
    assert study.search is not None
    ssl = study.base.ssl.model_copy(update={"method": "supervised"})
    later = idle_settings(study.base.model_copy(update={"ssl": ssl})).keys() - {"ssl.pretrain_epochs"}
    return all(dimension.choices is not None or name in later for name, dimension in study.search.space.items())
