"""Plan, start and end of the searches of a study: earlier draws are replayed, and the best points are chosen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.dispatch.known_trials import KnownTrials
from agrm_study.execution.dispatch.sampler import End
from agrm_study.execution.dispatch.search_history import Past, keeps_failing, read_past
from agrm_study.execution.dispatch.search_point import candidates_of, ended_points
from agrm_study.execution.dispatch.search_source import SearchSource
from agrm_study.execution.dispatch.several_searches import SeveralSearches
from agrm_study.execution.dispatch.shared_stages import SearchStages
from agrm_study.execution.dispatch.to_run import work_on
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import Work
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.plan import Cell
from agrm_study.plan.promotion import Candidate, promoted, ranked, tuned
from agrm_study.plan.searches import PlannedSearch, searches
from agrm_study.plan.summary import SearchSummary, TunedArm
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.search_log import SearchLog
from agrm_study.study.reported import reported_network
from agrm_study.study.study import Study
from agrm_study.training.models.known_layers import known_layers

ENDS: Final[tuple[End, ...]] = get_args(End)
AHEAD: Final = ("missing", "trials_at_most", "to_promote")
"""Counts of a search in the plan: its points by outcome, and the remaining work."""


def open_searches(
    study: Study,
    prepared: Prepared,
    results: Location,
    known: KnownTrials,
    *,
    retry_failed: bool,
    accelerators: Mapping[str, str],
) -> tuple[SeveralSearches, StudyProgress]:
    """The searches of a study with the draws of earlier runs, and their progress.

    Args:
        accelerators: Accelerator of each arm's trials, if arms use different accelerators.

    Raises:
        InputError: As for `searches`, or if a file specified in a recipe cannot be read.
    """
    builder = TrialBuilder(study.name, prepared.fingerprints, parts=study.parts)
    planned = searches(study, known_layers)
    ended: dict[str, TrialEvent] = {}
    pasts = read_past(results, known, planned, builder, retry_failed=retry_failed)
    cells: list[Cell] = []
    metrics: dict[str, float] = {}
    for past in pasts:
        for item in past:
            for spec, run in zip(item.specs, item.runs, strict=True):
                if run.end is None or run.state is None:
                    continue
                cells.append(Cell(item.proposal.arm, spec.task, spec.seed, spec.trial_id))
                ended[spec.trial_id] = TrialEvent(
                    kind="failed" if run.end == "failed" else "finished",
                    trial_id=spec.trial_id,
                    best_epoch=run.state.best_epoch or 0,
                    stop_reason=run.state.stop_reason or "",
                    failure=run.state.failure,
                    error=run.state.error,
                )
                if run.judged is not None and math.isfinite(run.judged.values[0]):
                    metrics[spec.trial_id] = run.judged.values[0]
    progress = StudyProgress.of(study, cells, known.states, metrics=metrics, to_draw=0)

    def on_draw(spec: TrialSpec, name: str) -> None:
        trial = TrialProgress(spec.trial_id, name, spec.task, spec.seed, spec.recipe.epochs)
        progress.trials.setdefault(spec.trial_id, trial)

    def source_of(search: PlannedSearch, past: Sequence[Past]) -> SearchSource:
        stages, accelerator = SearchStages(search, results), accelerators.get(search.arm_name)

        def work_of(spec: TrialSpec) -> Work:
            return replace(work_on(spec, prepared, known), stages=stages.ends(spec), accelerator=accelerator)

        return SearchSource(
            search,
            past,
            builder=builder,
            work_of=work_of,
            results=results,
            log=SearchLog(
                study=study.name,
                task=search.task,
                seed=search.settings.seed,
                trials=search.settings.trials,
                metric=search.settings.metric,
                directions=search.settings.directions,
                to_promote=search.final_trials,
                network=reported_network(search.base),
                arm=search.arm_name,
                seeds=search.settings.seeds,
            ),
            on_draw=on_draw,
            accelerator=accelerator,
        )

    def on_change() -> None:
        progress.to_draw, progress.held_draws = source.to_draw, source.held

    sources = [source_of(search, past) for search, past in zip(planned, pasts, strict=True)]
    source = SeveralSearches(sources, ended=ended, on_change=on_change)
    on_change()
    return source, progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A study with the choices of its searches.

    Attributes:
        study: The study, with the promoted arms or with the settings of the tuned arms.
        nothing: One sentence for each finished search without a chosen point, with the reason.
        untuned: Number of final-phase trials that are unknown because a search is unfinished.
    """

    study: Study
    nothing: tuple[str, ...]
    untuned: int = 0


def choose(study: Study, source: SeveralSearches) -> Chosen | None:
    """The study with the best points of its searches; ``None`` while a search that is not held back is
    unfinished, or if there is nothing to report yet."""
    done = [search for search in source.searches if search.complete]
    if len(done) < sum(not search.held_back for search in source.searches) or not done:
        return None
    after, nothing = _chosen(study, [(search.search, search.candidates()) for search in done])
    held = sum(search.search.final_trials for search in source.searches if not search.complete)
    return Chosen(study=after, nothing=nothing, untuned=held)


def _chosen(study: Study, found: Sequence[tuple[PlannedSearch, Sequence[Candidate]]]) -> tuple[Study, tuple[str, ...]]:
    if study.tune is None:
        [(search, candidates)] = found
        after = promoted(search, candidates)
        if search.chosen and len(after.arms) == len(study.arms):
            return after, (f"No search trial finished with {_wanted(search)}: nothing is promoted.",)
        return after, ()
    lacking = [search for search, candidates in found if not ranked(search, candidates)]
    return tuned(study, found), tuple(
        f"No search trial of {search.title} finished with {_wanted(search)}: it is not tuned, and not reported."
        for search in lacking
    )


def _wanted(search: PlannedSearch) -> str:
    return "a defined metric" + (" within the constraints" if search.settings.constraints else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """Plan of the searches of a study.

    Attributes:
        study: The study, with the choices of its finished searches.
        stand_ins: A trial of the base recipe for each trial that is still unknown, used to estimate the cost.
    """

    summary: SearchSummary
    study: Study
    stand_ins: tuple[TrialSpec, ...]


def plan_search(study: Study, prepared: Prepared, results: Location, known: KnownTrials) -> SearchPlan | None:
    """The plan of a study's searches; ``None`` for a study without searches."""
    planned = searches(study, known_layers)
    if not planned:
        return None
    builder = TrialBuilder(study.name, prepared.fingerprints, parts=study.parts)
    counted: list[TunedArm] = []
    stand_ins: list[TrialSpec] = []
    done: list[tuple[PlannedSearch, list[Candidate]]] = []
    for search, past in zip(planned, read_past(results, known, planned, builder), strict=True):
        points = ended_points(past, search.settings)
        ends, seeds = Counter(point.end for point in points), search.settings.seeds
        log = SearchLog.read(results, search.arm_name, search.task)
        whole = log is not None and log.has_ended(search.chosen) and log.trials == search.settings.trials
        over, held_back = whole and not ends[None], keeps_failing(past)
        missing = 0 if over or held_back else max(0, search.settings.trials - ends.total() + ends[None])
        candidates = candidates_of(points, search.space)
        if not missing and not held_back:
            done.append((search, candidates))
        opened = [point for point in points if point.end is None] if missing else []
        at_most = max(0, missing - len(opened)) * seeds + sum(seeds - len(point.trials) for point in opened)
        best = next(iter(ranked(search, candidates)), None) if not missing else None
        counted.append(
            TunedArm(
                arm=search.arm_name,
                task=search.task,
                **{end: ends[end] for end in ENDS},
                missing=missing,
                trials_at_most=at_most,
                to_promote=search.final_trials if missing else 0,
                held_back=held_back,
                settings=None if best is None else dict(best.settings),
                value=None if best is None else best.values[0],
            )
        )
        base = search.base.model_copy(update={"task": study.tasks[search.task], "split_seed": study.split_seed})
        [stand_in] = builder.replicates(
            base, [search.settings.seed], arm=search.arm_name or "search", params={}, phase="search"
        )
        stand_ins += [stand_in] * (at_most + counted[-1].to_promote)
    after, nothing = _chosen(study, done) if done else (study, ())
    settings = planned[0].settings
    summary = SearchSummary(
        trials=settings.trials * len(planned),
        seeds=settings.seeds,
        **{name: sum(getattr(arm, name) for arm in counted) for name in (*ENDS, *AHEAD)},
        promote=planned[0].chosen,
        held_back=any(each.held_back for each in counted),
        nothing_to_promote=bool(nothing),
        tuned=tuple(counted) if study.tune is not None else (),
    )
    return SearchPlan(summary=summary, study=after, stand_ins=tuple(stand_ins))


def final_trials(study: Study) -> int:
    """Number of trials in the final phase, which is known before the searches end."""
    promote = 0 if study.search is None else study.search.promote
    return (len(study.arms) + promote) * len(study.tasks) * len(study.seeds)
