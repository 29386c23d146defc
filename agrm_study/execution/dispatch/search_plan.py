"""Plan of a search: finished and remaining trials, computed without drawing points."""

from __future__ import annotations

from dataclasses import dataclass

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.dispatch.search_history import keeps_failing, read_past
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.promotion import Candidate, promoted, search_trial
from agrm_study.plan.summary import SearchSummary
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.search_log import SearchLog
from agrm_study.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """Plan of a search.

    Attributes:
        summary: Its trials.
        study: The study, with the promoted arms once the search is done.
        stand_ins: A trial of the base recipe for each trial not known yet, to estimate cost.
    """

    summary: SearchSummary
    study: Study
    stand_ins: tuple[TrialSpec, ...]


def plan_search(study: Study, prepared: Prepared, results: Location) -> SearchPlan | None:
    """The plan of a study's search; ``None`` for a study without one."""
    search = study.search
    if search is None:
        return None
    builder = TrialBuilder(study.name, prepared.fingerprints, parts=study.parts)
    past = read_past(results, search, lambda settings: search_trial(study, settings, builder))
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
    base = study.base.model_copy(update={"task": study.tasks[0], "split_seed": study.split_seed})
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
