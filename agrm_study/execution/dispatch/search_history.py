"""Draws of earlier runs that belong to the current search.

A record belongs to the search if a trial built from its settings has the recorded identity, that is, the same data,
split, base recipe and seed. Points outside the current space are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agrm_study.execution.dispatch.judged import Judged, read_judged
from agrm_study.execution.dispatch.known_trials import KnownTrials
from agrm_study.execution.dispatch.sampler import End, inner
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.execution.trial.repeated_failures import search_keeps_failing
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.searches import PlannedSearch
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import Proposal, SearchLog
from agrm_study.study.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A trial of a point in earlier runs.

    Attributes:
        end: Outcome; ``None`` if the trial is still to be run or rerun.
        judged: Its scores, if it was measured.
        repeats: For a finished trial that lost records and is rerun, the state that it must reach again.
    """

    end: End | None = None
    judged: Judged | None = None
    state: TrialState | None = None
    repeats: TrialState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A draw of an earlier run.

    Attributes:
        specs: The trials of its point, one per seed; empty if the values are not valid in any recipe.
        runs: Known runs of each trial.
    """

    proposal: Proposal
    specs: tuple[TrialSpec, ...] = ()
    runs: tuple[PastRun, ...] = ()

    @property
    def end(self) -> End | None:
        """Outcome of the point, from its first trial that did not finish; ``None`` if trials may still run."""
        return next((run.end for run in self.runs if run.end != "finished"), "finished" if self.runs else None)


Points = list[tuple[Proposal, tuple[TrialSpec, ...]]]
"""Draws with the trials of their points, one per seed; no trials if the values are not valid in any recipe."""


def read_past(
    results: Location,
    known: KnownTrials,
    searches: Sequence[PlannedSearch],
    builder: TrialBuilder,
    *,
    retry_failed: bool = False,
) -> list[list[Past]]:
    """The draws of earlier runs of each search, in order: draws in its log, then points found only in records.

    A record that a search log lists belongs only to the searches whose logs list it.
    """
    ledger = Ledger(results)
    trials = ledger.trials()
    rows = trials[trials["phase"] == "search"].sort_values("started_at", kind="stable", na_position="last")
    logged = [_logged(results, search, builder) for search in searches]
    listed = [spec.trial_id for points in logged for _, specs in points for spec in specs]
    unlisted = rows[~rows["trial_id"].isin(listed)].to_dict("records")
    return [
        _past(ledger, known, search, points + _of_records(unlisted, search, builder), retry_failed=retry_failed)
        for search, points in zip(searches, logged, strict=True)
    ]


def _logged(results: Location, search: PlannedSearch, builder: TrialBuilder) -> Points:
    log = SearchLog.read(results, search.arm_name, search.task)
    found = [_point(proposal, search, builder) for proposal in (log.proposals if log is not None else ())]
    return [point for point in found if point is not None]


def _of_records(rows: Iterable[dict[Any, Any]], search: PlannedSearch, builder: TrialBuilder) -> Points:
    points: Points = []
    seen: set[str] = set()
    for row in rows:
        if row["trial_id"] in seen:
            continue
        params = json.loads(row["params"])
        settings = {name: params[name] for name in search.space if name in params}
        name = search.point_name(settings) if inner(search.space, settings) is not None else ""
        found = _point(Proposal(trial_id=row["trial_id"], arm=name, settings=settings), search, builder)
        if found is not None and found[1]:
            points.append(found)
            seen.update(spec.trial_id for spec in found[1])
    return points


def _past(
    ledger: Ledger, known: KnownTrials, search: PlannedSearch, points: Points, *, retry_failed: bool
) -> list[Past]:
    states = known.states
    specs = {spec.trial_id: spec for _, its in points for spec in its}
    best_epochs = {t: states[t].best_epoch or 0 for t in specs if t in states and states[t].status == "finished"}
    judged = read_judged(ledger, specs, best_epochs, search.settings)
    return [
        Past(
            proposal=proposal,
            specs=its,
            runs=tuple(_run(spec.trial_id, known, judged.get(spec.trial_id), retry_failed) for spec in its),
        )
        for proposal, its in points
    ]


def _point(
    proposal: Proposal, search: PlannedSearch, builder: TrialBuilder
) -> tuple[Proposal, tuple[TrialSpec, ...]] | None:
    """The point with its trials, if it belongs to the current search."""
    drawn = inner(search.space, proposal.settings)
    if drawn is None:
        return None
    settings = {name: proposal.settings[name] for name in search.space if name in proposal.settings}
    close = proposal.drawn.keys() == drawn.keys() and all(
        abs(value - drawn[name]) <= 1e-4 * max(1.0, abs(value)) for name, value in proposal.drawn.items()
    )
    # records sort the settings; point names follow the order of the space
    drawn = proposal.drawn if close else drawn
    try:
        specs = search.trials(settings, builder)
    except InputError:
        refused = Proposal(trial_id="", arm=proposal.arm, settings=settings, drawn=drawn)
        return None if proposal.trial_id else (refused, ())
    trial_id, *further = (spec.trial_id for spec in specs)
    if proposal.trial_id not in (trial_id, *further):
        return None
    found = Proposal(trial_id=trial_id, arm=proposal.arm, settings=settings, drawn=drawn, further=tuple(further))
    return found, specs


def _run(trial_id: str, known: KnownTrials, judged: Judged | None, retry_failed: bool) -> PastRun:
    state, damaged = known.states.get(trial_id), known.damaged.get(trial_id)
    if damaged is not None and damaged.fault.what != "trials":
        return PastRun(repeats=damaged.state)
    end: End | None = None
    if state is not None and state.status == "finished":
        end = "pruned" if state.stop_reason == PRUNED else "finished"
    elif state is not None and state.failure in DETERMINISTIC and not retry_failed:
        end = "failed"
    return PastRun(end=end, judged=judged, state=state)


def keeps_failing(past: Iterable[Past]) -> bool:
    """Whether a search is held back because its trials keep failing in the same way."""
    trials = [(spec.trial_id, run) for item in past for spec, run in zip(item.specs, item.runs, strict=True)]
    return search_keeps_failing((t, run.state) for t, run in trials if run.end is not None and run.state is not None)
