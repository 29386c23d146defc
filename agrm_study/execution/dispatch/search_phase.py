"""How does a search begin, and what becomes of it? Earlier draws are taken up, and at its end the best become arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.dispatch.search_history import Past, read_past
from agrm_study.execution.dispatch.search_source import SearchSource
from agrm_study.execution.dispatch.search_stages import SearchStages
from agrm_study.execution.progress.state import StudyProgress, TrialProgress
from agrm_study.execution.trial.work import Work
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.promotion import promoted, search_trial
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.search_log import SearchLog
from agrm_study.records.validation_scores import column
from agrm_study.study.reported import reported_network
from agrm_study.study.search_space import Search
from agrm_study.study.study import Study


@dataclass(frozen=True, slots=True)
class SearchPhase:
    """A search that is about to run.

    Attributes:
        source: Hands out its trials.
        progress: How far it is; the source adds trials as they are drawn.
        prunes: Whether trials may be ended early.
        before: Trials that had finished before.
    """

    source: SearchSource
    progress: StudyProgress
    prunes: bool
    before: int

    def close(self) -> None:
        """A search that is complete with fewer trials than it was to have draws none any more."""
        if self.source.complete:
            self.progress.to_draw = 0


def open_search(study: Study, prepared: Prepared, results: Location, *, retry_failed: bool) -> SearchPhase:
    """The search of a study, with all that earlier runs have done of it.

    Raises:
        InputError: What `search_trial` raises for data that cannot be read.
    """
    search = _search(study)
    builder = TrialBuilder(study.name, prepared.fingerprints)

    def make(settings: dict[str, Any]) -> TrialSpec:
        return search_trial(study, settings, builder)

    past = read_past(results, search, make, retry_failed=retry_failed)
    progress = _progress(study, search, past)
    stages = SearchStages(study, results)
    attempts = {item.proposal.trial_id: item.attempts for item in past}

    def work_of(spec: TrialSpec) -> Work:
        return Work(
            trial=spec,
            manifest=prepared.manifest_path(spec.recipe),
            store=prepared.store_path(spec.recipe),
            attempts=attempts.get(spec.trial_id, 0),
            stages=stages.ends(spec),
        )

    def on_draw(spec: TrialSpec) -> None:
        progress.trials[spec.trial_id] = _trial(spec)
        progress.to_draw = max(0, (progress.to_draw or 0) - 1)

    source = SearchSource(
        search,
        past,
        make=make,
        work_of=work_of,
        results=results,
        log=SearchLog(
            study=study.name,
            task=study.tasks[0],
            seed=search.seed,
            trials=search.trials,
            metric=search.metric,
            directions=search.directions,
            to_promote=search.promote * len(study.tasks) * len(study.seeds),
            network=reported_network(study.base),
        ),
        on_draw=on_draw,
    )
    progress.to_draw = len(source)
    return SearchPhase(source, progress, search.pruner.name != "none", progress.counts().finished)


def promote(study: Study, phase: SearchPhase) -> Study:
    """The study whose arms are the base recipe (when it is the reference) and the best of the search."""
    return promoted(study, phase.source.candidates())


def final_trials(study: Study) -> int:
    """Trials that the final phase is going to have, as far as is known before the search has ended."""
    search = _search(study)
    return (len(study.arms) + search.promote) * len(study.tasks) * len(study.seeds)


def _progress(study: Study, search: Search, past: Sequence[Past]) -> StudyProgress:
    progress = StudyProgress(
        name=study.name,
        question=study.question,
        metric=column(search.metric[0]),
        tasks=tuple(study.tasks),
        arms=(),
        seeds=(search.seed,),
        cells={},
        trials={},
        to_draw=0,
        maximize=search.directions[0] == "maximize",
    )
    progress.began = progress.clock()
    for item in past:
        if item.spec is None or item.end is None:
            continue
        trial = progress.trials[item.spec.trial_id] = _trial(item.spec)
        trial.state = "failed" if item.end == "failed" else "finished"
        trial.pruned = item.end == "pruned"
        trial.failure, trial.error = item.failure, item.error
        trial.wall_s, trial.epoch, trial.attempt = item.wall_s, item.epochs, item.attempts
        if item.scores is not None and item.scores.values[0] == item.scores.values[0]:
            trial.metric = item.scores.values[0]
    return progress


def _trial(spec: TrialSpec) -> TrialProgress:
    return TrialProgress(spec.trial_id, spec.arm, spec.task, spec.seed, spec.recipe.epochs)


def _search(study: Study) -> Search:
    if study.search is None:
        raise ValueError(f"the study {study.name} does not search")
    return study.search
