"""run, plan, status and watch agree on studies that are unfinished but have no trial left to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from named_data import NamedData
from scripted_runner import journal

from agrm_study.execution.dispatch.known_trials import read_known
from agrm_study.execution.dispatch.search_phase import SearchPlan, plan_search
from agrm_study.execution.dispatch.to_run import ToRun, trials_to_run
from agrm_study.execution.progress.snapshot import read_snapshot
from agrm_study.execution.progress.status import status
from agrm_study.execution.summary import RunSummary
from agrm_study.plan.expand import expand
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.study.study import Study

RUNNER = "search_runner:SearchRunner"
Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]
CHOICE = {"ssl.threshold.tau": {"choice": [0.6, 0.7, 0.8]}}


def planned(study: Study, results: Path) -> SearchPlan:
    found = plan_search(study, NamedData(), Location.of(results), read_known(Location.of(results)))  # type: ignore[arg-type]
    assert found is not None
    return found


def to_run(study: Study, results: Path, *, retry_failed: bool = False) -> ToRun:
    plan = expand(study, lambda recipe: ("data", "split"))
    return trials_to_run(plan, Ledger(results).states(), retry_failed=retry_failed)


@pytest.mark.parametrize("search", [{"trials": 4}, {"trials": 5, "space": CHOICE}])
@pytest.mark.parametrize(("reference", "final"), [("base", 2), (None, 0)])
def test_a_search_with_nothing_to_promote_ends_everywhere(
    search_of: Make, run: Run, results: Path, script: Script, search: dict[str, object], reference: str, final: int
) -> None:
    script(**{"*": {"fail": "nan"}}, base={})
    study = search_of(reference=reference, **search)
    summary = run(study, runner=RUNNER)
    points = min(4, 3 if "space" in search else 4)
    assert (summary.finished, summary.diverged, summary.unfinished) == (final, points, 0)
    assert summary.exit_code == 1
    assert any("nothing is promoted" in message for message in summary.messages)
    plan = planned(study, results)
    assert (plan.summary.missing, plan.summary.to_promote, plan.summary.nothing_to_promote) == (0, 0, True)
    assert to_run(plan.study, results).trials == ()
    found, snapshot = status(results), read_snapshot(results)
    assert (found.total, found.finished, found.failed, found.waiting) == (points + final, final, points, 0)
    assert (snapshot.over, snapshot.complete) == (True, False)
    before = journal(results)
    assert run(study, runner=RUNNER).exit_code == 1
    assert journal(results) == before


def test_an_arm_whose_trials_all_diverge_is_held_back_until_it_is_asked_for(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    script(B={"fail": "nan", "at": 2})
    study = make_study(seeds=5)
    summary = run(study)
    assert (summary.finished, len(summary.failed), summary.held, summary.exit_code) == (5, 3, 2, 1)
    found, snapshot = status(results), read_snapshot(results)
    assert (found.total, found.finished, found.failed, found.held, found.waiting) == (10, 5, 3, 2, 0)
    assert (snapshot.over, snapshot.complete) == (True, False)
    asked = to_run(study, results)
    assert (len(asked.trials), len(asked.failed), len(asked.held)) == (0, 3, 2)
    before = journal(results)
    again = run(study)
    assert (again.finished, again.held, again.exit_code) == (0, 2, 1)
    assert journal(results) == before
    script(B={})
    assert len(to_run(study, results, retry_failed=True).trials) == 5
    healed = run(study, retry_failed=True)
    assert (healed.finished, healed.held, healed.exit_code) == (5, 0, 0)


def test_a_trial_that_was_started_is_resumed_in_an_arm_that_is_held_back(make_study: Make, results: Path) -> None:
    from agrm_study.records.reader import TrialState

    plan = expand(make_study({"A": 0.5}, seeds=5), lambda recipe: ("data", "split"))
    *failed, started, waiting = plan.trials
    states = {trial.trial_id: TrialState("failed", "nan_loss", "NanLossError: epoch 1", 1, 1.0) for trial in failed}
    found = trials_to_run(plan, states, started={started.trial_id})
    assert (found.trials, found.held) == ((started,), (waiting,))


def test_a_search_that_keeps_failing_is_held_back_until_it_is_asked_for(
    search_of: Make, run: Run, results: Path, script: Script
) -> None:
    script(**{"*": {"fail": "bug"}})
    study = search_of(trials=20)
    summary = run(study, runner=RUNNER)
    assert (len(summary.failed), summary.held, summary.unfinished, summary.exit_code) == (3, 17 + 6, 0, 1)
    found, snapshot = status(results), read_snapshot(results)
    assert (found.total, found.failed, found.held, found.waiting) == (26, 3, 23, 0)
    assert snapshot.over
    plan = planned(study, results)
    assert (plan.summary.missing, plan.summary.to_promote, plan.summary.held_back) == (0, 0, True)
    before = journal(results)
    assert run(study, runner=RUNNER).exit_code == 1
    assert journal(results) == before
    script(**{"*": {}})
    assert run(study, runner=RUNNER, retry_failed=True).exit_code == 0


def test_failures_of_several_kinds_hold_nothing_back(make_study: Make, run: Run, results: Path, script: Script) -> None:
    script(A={"fail": "oom"})
    summary = run(make_study({"A": 0.5}, seeds=5))
    assert (len(summary.failed), summary.held) == (5, 0)  # out of memory may heal
