"""What is a study still missing, by its ledger, and what is known of the rest?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.results_folder.compacting import COMPACT_FROM
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.execution.trial.work import Work
from agrm_study.plan.plan import Plan
from agrm_study.records.compaction import compact
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.validation_scores import read_metric
from agrm_study.study.reported import reported_network

MOST_CELLS_SHOWN: Final = 400
"""Cells up to which the metrics of trials that finished before are read for the picture."""


def read_states(results: Location, say: Callable[[str], None]) -> dict[str, TrialState]:
    """What the ledger knows of each trial; many loose records are merged first, and unreadable ones told."""
    ledger = Ledger(results)
    if len(ledger.loose_files("trials")) >= COMPACT_FROM:
        compact(results)
    states = ledger.states()
    for problem in ledger.problems:
        say(f"{problem.path} cannot be read and counts as not done: {problem.reason}")
    return states


def missing_works(
    plan: Plan,
    prepared: Prepared,
    states: Mapping[str, TrialState],
    *,
    retry_failed: bool,
    say: Callable[[str], None],
) -> list[Work]:
    """The trials to run: all without a record, and the failed ones that are worth another attempt.

    Args:
        plan: All trials.
        prepared: Their data.
        states: What the ledger knows of them.
        retry_failed: Also those that failed for a reason that comes out the same again.
        say: Told how many are left alone.
    """
    finished = {trial_id for trial_id, state in states.items() if state.status == "finished"}
    works, skipped = [], 0
    for trial in plan.missing(finished):
        state = states.get(trial.trial_id)
        if state is not None and state.failure in DETERMINISTIC and not retry_failed:
            skipped += 1
            continue
        works.append(
            Work(
                trial=trial,
                manifest=prepared.manifest_path(trial.recipe),
                store=prepared.store_path(trial.recipe),
                attempts=state.attempt if state is not None else 0,
            )
        )
    if skipped:
        say(f"{skipped} failed trials would fail again and are left alone; --retry-failed runs them.")
    return works


def finished_metrics(results: Location, plan: Plan, states: Mapping[str, TrialState], metric: str) -> dict[str, float]:
    """Validation metric at the best epoch of the trials that have finished, when there are few enough to show."""
    if len(plan.cells) > MOST_CELLS_SHOWN:
        return {}
    return read_metric(Ledger(results), states, metric, lambda trial_id: reported_network(plan.by_id[trial_id].recipe))
