"""The trials of a plan that still have to run, according to the ledger; used by `plan` and `run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.dispatch.equal_trials import take_over_equal
from agrm_study.execution.dispatch.known_trials import KnownTrials, read_known
from agrm_study.execution.results_folder.upkeep import COMPACT_FROM
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.execution.trial.repeated_failures import RepeatedFailures, held_trials, repeated_in_arms
from agrm_study.execution.trial.work import Work
from agrm_study.plan.plan import Plan
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.compaction import compact
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.validation_scores import read_metric
from agrm_study.study.counted import counted
from agrm_study.study.reported import reported_network

MOST_CELLS_SHOWN: Final = 400
"""Maximum number of cells for which metrics of earlier trials are read for the live view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRun:
    """The unfinished trials of a plan.

    Attributes:
        failed: Trials not rerun because they failed deterministically.
        held: Trials not started because their arm keeps failing in the same way.
    """

    trials: tuple[TrialSpec, ...]
    failed: tuple[TrialSpec, ...]
    held: tuple[TrialSpec, ...]
    repeated: RepeatedFailures

    @property
    def notes(self) -> list[str]:
        """Notes on trials that do not run and how to run them, one sentence each."""
        notes = []
        if self.failed:
            them = "it" if len(self.failed) == 1 else "them"
            notes.append(f"{counted(len(self.failed), 'failed trial')} would fail again; --retry-failed runs {them}.")
        notes += [
            f"{arm}: {counted(held, 'trial is', 'trials are')} held back, as the arm keeps failing in the same way; "
            f"--retry-failed runs {'it' if held == 1 else 'them'}."
            for arm, held in Counter(trial.arm for trial in self.held).items()
        ]
        return notes


def trials_to_run(
    plan: Plan, states: Mapping[str, TrialState], *, started: Collection[str] = (), retry_failed: bool = False
) -> ToRun:
    """Classifies the unfinished trials of a plan.

    Args:
        started: Trials without a record that an earlier run has started; they are always resumed.
        retry_failed: Whether to also run trials that failed deterministically or are held back for such failures.
    """
    repeated = RepeatedFailures() if retry_failed else repeated_in_arms(plan.cells, states)
    held = set(held_trials(plan.cells, states, started, repeated))
    failed = {trial_id for trial_id, state in states.items() if state.failure in DETERMINISTIC and not retry_failed}
    missing = plan.missing({trial_id for trial_id, state in states.items() if state.status == "finished"})
    return ToRun(
        trials=tuple(trial for trial in missing if trial.trial_id not in failed | held),
        failed=tuple(trial for trial in missing if trial.trial_id in failed),
        held=tuple(trial for trial in missing if trial.trial_id in held),
        repeated=repeated,
    )


def work_on(trial: TrialSpec, prepared: Prepared, known: KnownTrials, predicted: Collection[str] = ()) -> Work:
    """A trial with its data locations and number of starts; trials in `predicted` only recompute predictions."""
    return Work(
        trial=trial,
        manifest=prepared.manifest_path(trial.recipe),
        store=prepared.store_path(trial.recipe),
        attempts=known.attempts(trial.trial_id),
        predict_only=trial.trial_id in predicted,
    )


def read_and_take_over(results: Location, plan: Plan, on_note: Callable[[str], None], *, merge: bool) -> KnownTrials:
    """The trials of a results folder, after reusing equal trials of studies in sibling folders.

    With `merge`, many loose records are merged first. Damaged files are reported.
    """
    if merge and len(Ledger(results).loose_files("trials")) >= COMPACT_FROM:
        compact(results)
    known = read_known(results)
    for note in known.unreadable + known.faults(plan.by_id):
        on_note(note)
    finished = {trial_id for trial_id, state in known.states.items() if state.status == "finished"}
    return read_known(results) if take_over_equal(results, plan.missing(finished), on_note) else known


def finished_metrics(results: Location, plan: Plan, states: Mapping[str, TrialState], metric: str) -> dict[str, float]:
    """Validation metric at the best epoch of the trials that have finished, if there are few enough to show."""
    if len(plan.cells) > MOST_CELLS_SHOWN:
        return {}
    return read_metric(Ledger(results), states, metric, lambda trial_id: reported_network(plan.by_id[trial_id].recipe))
