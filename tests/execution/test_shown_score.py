"""Every reader of a validation score returns the score of the network that the study reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_run_inline import Watcher
from two_networks_runner import STUDENT, TEACHER

from agrm_study.execution.progress.snapshot import read_snapshot
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.status import status
from agrm_study.execution.summary import RunSummary
from agrm_study.hooks.trial_log import StudyLog
from agrm_study.study.study import Study

RUNNER = "two_networks_runner:TwoNetworksRunner"
Run = Callable[..., RunSummary]
NETWORKS = [("student", STUDENT), ("teacher", TEACHER)]


class Beginning(Watcher):
    """Keeps the progress of each phase of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[StudyProgress] = []

    def begin(self, progress: StudyProgress) -> None:
        self.phases.append(progress)


def metrics(progress: StudyProgress | None) -> set[float | None]:
    assert progress is not None
    return {trial.metric for trial in progress.trials.values()}


@pytest.mark.parametrize(("network", "value"), NETWORKS)
def test_progress_watch_and_hooks_show_the_reported_network(
    make_study: Callable[..., Study], run: Run, results: Path, network: str, value: float
) -> None:
    study = make_study(set={"evaluate.network": network})
    events = Watcher()
    run(study, runner=RUNNER, view=events)
    again = Beginning()
    run(study, runner=RUNNER, view=again)
    log = StudyLog(results)
    records = log.records()
    assert {event.metric for event in events.events if event.kind == "finished"} == {value}
    assert metrics(again.phases[0]) == {value}
    assert metrics(read_snapshot(results).progress) == {value}
    assert {trial.final["val/macro_f1"] for trial in log.logs(records, records)} == {value}


@pytest.mark.parametrize(("network", "value"), NETWORKS)
def test_a_search_is_shown_with_the_score_that_it_is_decided_by(
    search_of: Callable[..., Study], run: Run, results: Path, network: str, value: float
) -> None:
    other = "teacher" if network == "student" else "student"
    space: dict[str, Any] = {
        "ssl.threshold.tau": {"float": [0.5, 0.99]},
        "evaluate.network": {"choice": [network]},
    }
    study = search_of(trials=2, promote=0, space=space, also={"set": {"evaluate.network": other}})
    begun = Beginning()
    run(study, runner=RUNNER, view=begun)
    found = status(results).search
    assert found is not None
    assert found.best == value
    assert metrics(begun.phases[0]) == {value}
