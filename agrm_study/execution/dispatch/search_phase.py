"""Plan, start and end of a search: earlier draws are replayed, and its best become arms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.dispatch.known_trials import KnownTrials
from agrm_study.execution.dispatch.search_history import keeps_failing, read_past
from agrm_study.execution.dispatch.search_source import SearchSource
from agrm_study.execution.dispatch.shared_stages import SearchStages
from agrm_study.execution.dispatch.to_run import work_on
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.trial.work import Work
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.plan import Cell
from agrm_study.plan.promotion import Candidate, promoted, search_trial
from agrm_study.plan.summary import SearchSummary
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.search_log import SearchLog
from agrm_study.study.reported import reported_network
from agrm_study.study.study import Study


def open_search(
    study: Study, prepared: Prepared, results: Location, known: KnownTrials, *, retry_failed: bool
) -> tuple[SearchSource, StudyProgress]:
    """The search of a study with the draws of earlier runs, and its progress; `InputError` as `search_trial`."""
    search = study.search
    assert search is not None
    builder = TrialBuilder(study.name, prepared.fingerprints, parts=study.parts)

    def make(settings: dict[str, Any]) -> TrialSpec:
        return search_trial(study, settings, builder)

    past = read_past(results, known, search, make, retry_failed=retry_failed)
    ended = [(item.spec, item.scores) for item in past if item.spec is not None and item.end is not None]
    progress = StudyProgress.of(
        study,
        [Cell(spec.arm, spec.task, spec.seed, spec.trial_id) for spec, _ in ended],
        known.states,
        metrics={s.trial_id: its.values[0] for s, its in ended if its is not None and math.isfinite(its.values[0])},
        to_draw=0,
    )
    stages = SearchStages(study, results)

    def work_of(spec: TrialSpec) -> Work:
        return replace(work_on(spec, prepared, known), stages=stages.ends(spec))

    def on_draw(spec: TrialSpec) -> None:
        progress.trials[spec.trial_id] = TrialProgress(
            spec.trial_id, spec.arm, spec.task, spec.seed, spec.recipe.epochs
        )
        progress.to_draw = max(0, (progress.to_draw or 0) - 1)

    source = SearchSource(
        search,
        past,
        make=make,
        work_of=work_of,
        results=results,
        log=SearchLog(
            study=study.name,
            task=study.first_task,
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
    return source, progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """Plan of a search.

    Attributes:
        study: The study, with the promoted arms once the search is done.
        stand_ins: A trial of the base recipe for each trial not known yet, to estimate cost.
    """

    summary: SearchSummary
    study: Study
    stand_ins: tuple[TrialSpec, ...]


def plan_search(study: Study, prepared: Prepared, results: Location, known: KnownTrials) -> SearchPlan | None:
    """The plan of a study's search; ``None`` for a study without one."""
    search = study.search
    if search is None:
        return None
    builder = TrialBuilder(study.name, prepared.fingerprints, parts=study.parts)
    past = read_past(results, known, search, lambda settings: search_trial(study, settings, builder))
    points = {item.spec.trial_id: item for item in past if item.spec is not None}
    ends = [item.end for item in points.values()]
    log = SearchLog.read(results)
    ended = log is not None and log.has_ended(search.promote) and log.trials == search.trials and None not in ends
    held_back = keeps_failing(past)
    missing = 0 if ended or held_back else max(0, search.trials - sum(end is not None for end in ends))
    if not missing and not held_back:
        candidates = [
            Candidate(item.spec.params, item.scores.values)
            for item in points.values()
            if item.end == "finished" and item.scores is not None and item.spec is not None
        ]
        arms = promoted(study, candidates)
    else:
        arms = study
    to_promote = search.promote * len(study.tasks) * len(study.seeds) if missing else 0
    base = study.base.model_copy(update={"task": study.tasks[study.first_task], "split_seed": study.split_seed})
    [stand_in] = builder.replicates(base, [search.seed], arm="search", params={}, phase="search")
    summary = SearchSummary(
        trials=search.trials,
        finished=ends.count("finished"),
        pruned=ends.count("pruned"),
        failed=ends.count("failed"),
        missing=missing,
        promote=search.promote,
        to_promote=to_promote,
        held_back=held_back,
        nothing_to_promote=not missing and not held_back and search.promote > 0 and len(arms.arms) == len(study.arms),
    )
    return SearchPlan(summary=summary, study=arms, stand_ins=(stand_in,) * (missing + to_promote))


def final_trials(study: Study) -> int:
    """Number of trials of the final phase, as far as known before the search ends."""
    assert study.search is not None
    return (len(study.arms) + study.search.promote) * len(study.tasks) * len(study.seeds)
