"""Draws of earlier runs that belong to the current search.

A record belongs to the search when the trial made from its settings has the identity of the record: data, split, base
recipe and seed are then the same. Points outside the current space are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from agrm_study.execution.dispatch.known_trials import KnownTrials
from agrm_study.execution.dispatch.sampler import End, inner
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.execution.trial.repeated_failures import search_keeps_failing
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import Proposal, SearchLog
from agrm_study.records.validation_scores import Scores, read_scores
from agrm_study.study.errors import InputError
from agrm_study.study.reported import reported_network
from agrm_study.study.search_space import Search


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A draw of an earlier run.

    Attributes:
        spec: Its trial; ``None`` if no recipe allows the values.
        end: How it ended; ``None`` if it is to be run (again).
        repeats: Of a finished trial that lost records and is run again, the state that it is to reach.
    """

    proposal: Proposal
    spec: TrialSpec | None
    end: End | None = None
    scores: Scores | None = None
    state: TrialState | None = None
    repeats: TrialState | None = None


def read_past(
    results: Location,
    known: KnownTrials,
    search: Search,
    make: Callable[[dict[str, Any]], TrialSpec],
    *,
    retry_failed: bool = False,
) -> list[Past]:
    """The draws of earlier runs in their order: those of search.json, then trials found only in the records."""
    ledger = Ledger(results)
    trials, states = ledger.trials(), known.states
    rows = trials[trials["phase"] == "search"].sort_values("started_at", kind="stable", na_position="last")
    records: dict[str, dict[str, Any]] = {
        row["trial_id"]: {str(k): v for k, v in row.items()} for row in rows.to_dict("records")
    }
    log = SearchLog.read(results)
    points: list[tuple[Proposal, TrialSpec | None]] = []
    seen: set[str] = set()
    for proposal in log.proposals if log is not None else ():
        found = _point(proposal, search, make)
        if found is not None:
            points.append(found)
            seen.add(proposal.trial_id)
    for trial_id, row in records.items():
        if trial_id not in seen:
            proposal = Proposal(trial_id=trial_id, arm=row["arm"], settings=json.loads(row["params"]))
            found = _point(proposal, search, make)
            if found is not None and found[1] is not None:
                points.append(found)
    specs = {spec.trial_id: spec for _, spec in points if spec is not None}
    best_epochs = {t: states[t].best_epoch or 0 for t in specs if t in states and states[t].status == "finished"}
    scores = read_scores(ledger, best_epochs, search.metric, lambda t: reported_network(specs[t].recipe))
    return [_past(proposal, spec, known, scores.get(proposal.trial_id), retry_failed) for proposal, spec in points]


def _point(
    proposal: Proposal, search: Search, make: Callable[[dict[str, Any]], TrialSpec]
) -> tuple[Proposal, TrialSpec | None] | None:
    """The point with its trial, if it belongs to the current search."""
    drawn = inner(search, proposal.settings)
    if drawn is None:
        return None
    settings = {name: proposal.settings[name] for name in search.space if name in proposal.settings}
    close = proposal.drawn.keys() == drawn.keys() and all(
        abs(value - drawn[name]) <= 1e-4 * max(1.0, abs(value)) for name, value in proposal.drawn.items()
    )
    proposal = Proposal(
        trial_id=proposal.trial_id,
        arm=proposal.arm,
        settings=settings,  # records sort them; names of arms follow the space
        drawn=proposal.drawn if close else drawn,
    )
    try:
        spec = make(settings)
    except InputError:
        return (proposal, None) if not proposal.trial_id else None
    return (proposal, spec) if spec.trial_id == proposal.trial_id else None


def _past(
    proposal: Proposal, spec: TrialSpec | None, known: KnownTrials, scores: Scores | None, retry_failed: bool
) -> Past:
    state, damaged = known.states.get(proposal.trial_id), known.damaged.get(proposal.trial_id)
    if damaged is not None and damaged.fault.what != "trials":
        return Past(proposal=proposal, spec=spec, repeats=damaged.state)
    end: End | None = None
    if state is not None and state.status == "finished":
        end = "pruned" if state.stop_reason == PRUNED else "finished"
    elif state is not None and state.failure in DETERMINISTIC and not retry_failed:
        end = "failed"
    return Past(proposal=proposal, spec=spec, end=end, scores=scores, state=state)


def keeps_failing(past: Iterable[Past]) -> bool:
    """Whether a search is held back because its trials keep failing in the same way."""
    ended = (item for item in past if item.spec is not None and item.end is not None)
    return search_keeps_failing((item.proposal.trial_id, item.state) for item in ended if item.state is not None)
