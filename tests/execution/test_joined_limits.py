"""Joined runs with limits in time and GPU-hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_joined_runs import _quick, join, one_run, starts
from test_run_inline import outcome, same

from agrm_study.execution.dispatch.budget import Limits
from agrm_study.execution.progress.status import status
from agrm_study.execution.summary import RunSummary
from agrm_study.records.location import Location
from agrm_study.records.removed_weights import removed_weights
from agrm_study.records.whole import broken_trials
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]

__all__ = ["_quick", "join"]


@pytest.mark.parametrize("sharing", [False, True])
def test_each_run_ends_in_time_and_the_next_ones_go_on_to_the_records_of_one_run(
    make_study: Make, run: Run, join: Callable, results: Path, script: Script, sharing: bool
) -> None:
    study = make_study(seeds=6, sharing=sharing, set={"ssl.pretrain_epochs": 1})
    alone = one_run(study, run, results)
    script(**{"*": {"epoch_s": 0.15}})
    done, time_s = 0, 2.0
    while not done:  # a busy machine needs longer to start
        runs = join(study, limits=Limits(time_s=time_s))
        runs.start(0, 1)
        first = runs.end()
        done, time_s = sum(s.finished for s in first), 2 * time_s
    assert done < 12
    assert {s.exit_code for s in first} == {130}
    assert max(starts(results).values()) == 1
    script(**{"*": {}})
    runs = join(study)
    runs.start(0, 1)
    assert [s.exit_code for s in runs.end()] == [0, 0]
    assert same(outcome(results), alone)


def test_gpu_hours_are_those_of_all_runs(
    make_study: Make, join: Callable, results: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("READ_EVERY_S", "WRITE_EVERY_S"):
        monkeypatch.setattr(f"agrm_study.execution.dispatch.usage_meter.{name}", 0.0)
    script(**{"*": {"epoch_s": 0.1}})
    study = make_study(seeds=10, resources={"cpu": 1, "gpu": 1})
    runs = join(study, device="cpu", limits=Limits(gpu_hours=2.5 / 3600))
    runs.start(0, 1)
    ended = runs.end()
    assert 0 < sum(s.finished for s in ended) < 20
    assert {(s.exit_code, s.limit) for s in ended} == {(1, "gpu_hours")}
    used = status(results).used.gpu_s
    assert used < 2.5 + 2 * 0.5  # what one run starts before it sees what the other has used
    assert max(s.used.gpu_s for s in ended) == pytest.approx(used, abs=1.0)


def test_one_of_several_runs_removes_the_weights_of_trials_that_left_the_plan(
    make_study: Make, run: Run, join: Callable, results: Path
) -> None:
    run(make_study({"A": 0.5, "B": 0.6}))
    runs = join(make_study({"A": 0.5, "C": 0.7}, keep_weights="reported"))
    runs.start(0, 1)
    ended = runs.end()
    assert [s.exit_code for s in ended] == [0, 0]
    assert sorted(s.reports for s in ended) == [False, True]
    assert len(list(results.glob("checkpoints/*/best.safetensors"))) == 4
    assert len(removed_weights(Location.of(results))) == 2
    assert not broken_trials(Location.of(results))


def test_a_run_that_waits_for_the_search_of_another_ends_in_time(
    search_of: Make, join: Callable, results: Path, script: Script
) -> None:
    script(**{"*": {"epoch_s": 0.2}})
    study = search_of(trials=6)
    leader, waiting = join(study, 1), join(study, 1, limits=Limits(time_s=1.0))
    leader.start(0)
    while not (results / "search.json").exists():
        time.sleep(0.01)
    waiting.start(0)
    [ended] = waiting.end()
    assert (ended.exit_code, ended.limit, ended.finished) == (130, "time", 0)
    [summary] = leader.end()
    assert ended.wall_s < summary.wall_s
    assert summary.exit_code == 0
