"""The status of a study is read from its results folder alone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_run_inline import Watcher

from agrm_study.cli.app import app
from agrm_study.execution.progress.status import StudyStatus, status
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]


def test_a_finished_study_says_so(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    found = status(results)
    assert (found.total, found.finished, found.failed, found.waiting) == (4, 4, 0, 0)
    assert (found.active, found.running, found.time_left_s) == (None, (), None)
    assert {(arm.arm, arm.finished) for arm in found.arms} == {("A", 2), ("B", 2)}
    json.dumps(found.to_dict())


def test_a_running_study_shows_who_runs_it_what_runs_and_how_long_it_takes(
    make_study: Make, run: Run, results: Path
) -> None:
    seen: list[StudyStatus] = []

    def look(event: TrialEvent) -> None:
        if event.kind == "epoch" and event.epoch == 2:
            seen.append(status(results))

    run(make_study(), view=Watcher(look))
    second = seen[1]
    assert second.active is not None
    assert (second.active["pid"], second.active["study"]) == (os.getpid(), "study")
    assert (second.finished, second.waiting, len(second.running)) == (1, 2, 1)
    (running,) = second.running
    assert running.epoch == 2
    assert running.attempt == 1
    assert running.metric is not None
    assert second.time_left_s is not None


def test_an_interrupted_study_shows_what_the_next_run_goes_on_with(make_study: Make, run: Run, results: Path) -> None:
    run(make_study(), view=Watcher(lambda e: os.kill(os.getpid(), signal.SIGINT) if e.kind == "epoch" else None))
    found = status(results)
    assert found.active is None
    assert (found.finished, found.waiting, len(found.running)) == (0, 3, 1)
    shown = CliRunner().invoke(app, ["status", str(results)]).output
    assert "started" in shown
    assert "running" not in shown.split("trials finished")[1]


def test_failures_stand_with_their_reasons(make_study: Make, run: Run, results: Path, script: Script) -> None:
    script(A={"fail": "bug", "seeds": [0]}, B={"fail": "oom", "seeds": [1]})
    run(make_study())
    found = status(results)
    assert {(f.arms, f.seed, f.failure, f.heals) for f in found.failures} == {
        (("A",), 0, "bug", False),
        (("B",), 1, "oom_host", True),
    }
    assert (found.finished, found.failed, found.running) == (2, 2, ())
    assert found.failures[0].error


def test_a_folder_that_holds_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no plan\.json"):
        status(tmp_path)
